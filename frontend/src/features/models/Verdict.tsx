/** Whether a version is better than the one in force, and why; alone, and with the figures side by side. */
import { useQuery } from "@tanstack/react-query"
import { comparisonQuery } from "@/api/models"
import type { ModelComparison, ModelFigure } from "@/api/schema"
import { Card } from "@/components/Card"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { Failed, Skeleton } from "@/components/states"
import { say, sayOf } from "@/words/say"
import { day, parse, span } from "@/words/times"
import { metricText } from "./metricText"
import css from "./models.module.css"

const HOUR_MS = 3600_000

interface Props {
  readonly type: string
  readonly version: number
}

export function Verdict({ type, version }: Props) {
  const { data } = useQuery(comparisonQuery(type, version))
  return data ? <Reasons found={data} /> : null
}

export function VerdictCard({ type, version }: Props) {
  const { data, error, refetch } = useQuery(comparisonQuery(type, version))
  const title =
    data?.champion == null
      ? say("models.againstConstant")
      : say("models.againstChampion", { n: data.champion })
  return (
    <Card className={css.whole} title={title}>
      {data ? (
        <>
          <Reasons found={data} />
          <Figures found={data} />
        </>
      ) : error ? (
        <Failed error={error} retry={refetch} />
      ) : (
        <Skeleton rows={4} />
      )}
    </Card>
  )
}

function Reasons({ found }: { readonly found: ModelComparison }) {
  const { better, comparable, reasons, challenger } = found
  const verdict = better ? "models.better" : comparable ? "models.notBetter" : "models.notComparable"
  return (
    <div className={css.verdict}>
      <strong>{say(verdict, { n: challenger })}</strong>
      <ul>
        {reasons.map((reason) => (
          <li key={reason}>{reason}</li>
        ))}
      </ul>
      <HeldOut found={found} />
    </div>
  )
}

/** What neither version knew of what they were compared on. */
function HeldOut({ found: { held_out, held_out_why, period } }: { readonly found: ModelComparison }) {
  if (held_out === null) return null
  if (!period)
    return (
      <p className={css.heldOut}>
        {say("models.heldOutByDevice")} {held_out_why}
      </p>
    )
  const { since, until, horizon_h } = period
  const facts = { since: dayOf(since), until: dayOf(until), ahead: span(horizon_h * HOUR_MS) }
  return <p className={css.heldOut}>{say("models.heldOutInTime", facts)}</p>
}

/** To the day: what is compared are weeks. */
function dayOf(iso: string): string {
  const at = parse(iso)
  return at === null ? iso : day(at)
}

function Figures({ found }: { readonly found: ModelComparison }) {
  const { champion, challenger, figures } = found
  const column = (side: "champion" | "challenger", version: number): PlainColumn<ModelFigure> => ({
    id: side,
    title: say("models.versionN", { n: version }),
    align: "right",
    cell: (figure) => metricText(figure.name, figure[side]),
  })
  const columns: readonly PlainColumn<ModelFigure>[] = [
    {
      id: "figure",
      title: say("models.figure"),
      wraps: true,
      cell: ({ name }) => sayOf("models.metrics", name, name),
    },
    ...(champion === null ? [] : [column("champion", champion)]),
    column("challenger", challenger),
  ]
  return (
    <PlainTable
      label={say("models.figures")}
      columns={columns}
      rows={figures}
      rowId={({ name }) => name}
      empty={say("models.notMeasured")}
    />
  )
}
