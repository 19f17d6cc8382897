/** What forecasts that were told were worth against what then happened: each version, and how reliable this one was. */
import { useQuery } from "@tanstack/react-query"
import { recordQuery } from "@/api/models"
import type { ModelRecord, ReliabilityPoint, VersionRecord } from "@/api/schema"
import { Age } from "@/components/Age"
import type { PlainColumn } from "@/components/PlainTable"
import { TableCard } from "@/components/TableCard"
import { count, fixed, quantity, share } from "@/words/figures"
import { say } from "@/words/say"
import { LeadCard } from "./LeadCard"
import { metricText } from "./metricText"
import css from "./models.module.css"
import { PlotCard, shareColumn } from "./PlotCard"

const DAYS = 90

interface Props {
  readonly type: string
  readonly version: number
}

export function TrackRecord({ type, version }: Props) {
  const { data, error, refetch } = useQuery(recordQuery(type, DAYS))
  const mine = data?.versions.find((each) => each.version === version)
  return (
    <>
      <TableCard
        title={say("models.record")}
        hint={say("models.recordHelp", { n: DAYS })}
        columns={columns()}
        rows={data?.versions}
        rowId={({ version, shadow }) => `${version} ${shadow}`}
        empty={say("models.recordNone")}
        error={error}
        retry={refetch}
      >
        {data ? <Basis found={data} /> : null}
      </TableCard>
      {mine && mine.reliability.length + mine.leads.length > 0 ? (
        <div className={css.pair}>
          <PlotCard<ReliabilityPoint>
            title={say("models.recordReliability", { n: version })}
            hint={say("models.recordReliabilityHelp")}
            rows={mine.reliability}
            point={({ predicted, observed, count }) => ({ across: predicted, up: observed, count })}
            most={1}
            text={share}
            acrossTitle={say("models.predicted")}
            upTitle={say("models.observed")}
            columns={[
              shareColumn("predicted", say("models.predicted")),
              shareColumn("observed", say("models.observed")),
              { id: "count", title: say("models.moments"), align: "right", cell: (row) => count(row.count) },
            ]}
          />
          <LeadCard of={mine} />
        </div>
      ) : null}
    </>
  )
}

/** Of how many devices, where it is not of all. */
function Basis({ found: { devices, of_devices } }: { readonly found: ModelRecord }) {
  if (devices === of_devices) return null
  const facts = { n: devices, shown: count(devices), all: count(of_devices) }
  return <p className={css.note}>{say("models.recordSample", facts)}</p>
}

function columns(): readonly PlainColumn<VersionRecord>[] {
  const figure = (id: string, title: string, cell: (each: VersionRecord) => string) =>
    ({ id, title, align: "right", cell }) as const
  return [
    {
      id: "version",
      title: say("models.version"),
      cell: ({ version: n, shadow }) => say(shadow ? "models.shadowN" : "models.versionN", { n }),
    },
    { id: "since", title: say("models.since"), cell: ({ first }) => <Age at={first} /> },
    figure("moments", say("models.moments"), ({ moments }) => count(moments)),
    figure("brier", say("models.metrics.brier"), ({ brier }) => metricText("brier", brier)),
    figure("constant", say("models.constant"), ({ brier_constant }) =>
      metricText("brier_constant", brier_constant),
    ),
    figure("coverage", say("models.metrics.coverage_90"), ({ coverage_90 }) => share(coverage_90)),
    figure("lead", say("models.lead"), ({ lead }) => quantity(lead?.p50_h, "h", 3)),
    figure("missed", say("models.missed"), ({ failures, missed }) =>
      say("models.missedOf", { missed: count(missed), failures: count(failures) }),
    ),
    figure("false", say("models.falseWarnings"), (each) => fixed(each.false_per_device_year, 2)),
  ]
}
