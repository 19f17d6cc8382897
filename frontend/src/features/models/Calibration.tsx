/** Whether what a model says comes about as often as it says: probabilities, intervals, and remaining lives. */
import { getRouteApi, useNavigate } from "@tanstack/react-router"
import type { CoveragePoint, ForecastPoint, Calibration as Measured, ReliabilityPoint } from "@/api/schema"
import { Chip } from "@/components/Chip"
import type { PlainColumn } from "@/components/PlainTable"
import { count, quantity, share } from "@/words/figures"
import { say } from "@/words/say"
import { span } from "@/words/times"
import css from "./models.module.css"
import { PlotCard, shareColumn } from "./PlotCard"

const route = getRouteApi("/models/$type/$version")
const HOUR_MS = 3600_000

export function Calibration({ calibration }: { readonly calibration: Measured }) {
  return (
    <div className={css.plots}>
      <Reliability reliability={calibration.reliability} />
      <Coverage rows={calibration.coverage} />
      <Forecast rows={calibration.forecast} />
    </div>
  )
}

function Reliability({ reliability }: Pick<Measured, "reliability">) {
  const navigate = useNavigate({ from: "/models/$type/$version" })
  const horizons = Object.keys(reliability)
    .map(Number)
    .sort((a, b) => a - b)
  const { horizon = horizons[0] ?? 0 } = route.useSearch()
  return (
    <PlotCard<ReliabilityPoint>
      title={say("models.reliability")}
      hint={say("models.reliabilityHelp")}
      aside={
        <div className={css.chips}>
          {horizons.map((each) => (
            <Chip
              key={each}
              pressed={each === horizon}
              label={`${say("models.horizon")} ${span(each * HOUR_MS)}`}
              onClick={() => navigate({ search: (before) => ({ ...before, horizon: each }), replace: true })}
            >
              {span(each * HOUR_MS)}
            </Chip>
          ))}
        </div>
      }
      rows={reliability[horizon] ?? []}
      point={({ predicted, observed, count }) => ({ across: predicted, up: observed, count })}
      most={1}
      text={share}
      acrossTitle={say("models.predicted")}
      upTitle={say("models.observed")}
      columns={[
        shareColumn("predicted", say("models.predicted")),
        shareColumn("observed", say("models.observed")),
        { id: "count", title: say("models.count"), align: "right", cell: (row) => count(row.count) },
      ]}
    />
  )
}

function Coverage({ rows }: { readonly rows: readonly CoveragePoint[] }) {
  return (
    <PlotCard<CoveragePoint>
      title={say("models.coverage")}
      hint={say("models.coverageHelp")}
      rows={rows}
      point={({ nominal, observed }) => ({ across: nominal, up: observed })}
      most={1}
      text={share}
      acrossTitle={say("models.nominal")}
      upTitle={say("models.held")}
      columns={[shareColumn("nominal", say("models.nominal")), shareColumn("observed", say("models.held"))]}
    />
  )
}

function Forecast({ rows }: { readonly rows: readonly ForecastPoint[] }) {
  const hours = (key: keyof ForecastPoint, title: string): PlainColumn<ForecastPoint> => ({
    id: key,
    title,
    align: "right",
    cell: (row) => quantity(row[key], "h", 3),
  })
  return (
    <PlotCard<ForecastPoint>
      title={say("models.forecast")}
      hint={say("models.forecastHelp")}
      rows={rows}
      point={({ true_h, p05_h, p50_h, p95_h }) => ({ across: true_h, up: p50_h, low: p05_h, high: p95_h })}
      text={(value) => quantity(value, "h", 3)}
      acrossTitle={say("models.trueLife")}
      upTitle={say("models.forecastLife")}
      columns={[
        hours("true_h", say("models.trueLife")),
        hours("p05_h", say("models.low")),
        hours("p50_h", say("models.median")),
        hours("p95_h", say("models.high")),
        { id: "count", title: say("models.count"), align: "right", cell: (row) => count(row.count) },
      ]}
    />
  )
}
