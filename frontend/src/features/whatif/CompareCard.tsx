/** Another experiment beside this one: what differs between them, and the metrics that both have. */
import { NativeSelect } from "@mantine/core"
import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router"
import {
  type Experiment,
  type ExperimentDetail,
  type ExperimentResults,
  experimentQuery,
  experimentsQuery,
  isOpen,
  type MetricResult,
  resultsQuery,
} from "@/api/whatif"
import { Card } from "@/components/Card"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { Failed, Skeleton } from "@/components/states"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { moment, parse, span } from "@/words/times"
import { deviceCount, metricTitle, scaleOfResult, unitNote, valueText } from "./resultText"
import css from "./whatif.module.css"

const route = getRouteApi("/whatif/$id")
const HOUR_MS = 3600_000

interface Props {
  readonly experiment: ExperimentDetail
  readonly results: ExperimentResults
}

export function CompareCard({ experiment, results }: Props) {
  const { against } = route.useSearch()
  const navigate = useNavigate({ from: "/whatif/$id" })
  const library = useInfiniteQuery(experimentsQuery).data?.pages.flatMap(({ items }) => items) ?? []
  const metrics = new Set(experiment.metrics)
  const others = library.filter(
    ({ id, replications_done, metrics: own }) =>
      id !== experiment.id && replications_done > 0 && own.some((each) => metrics.has(each)),
  )
  if (others.length === 0 && against === undefined) return null
  const choose = (id: string) =>
    navigate({
      search: (before) => ({ ...before, against: id || undefined }),
      replace: true,
      resetScroll: false,
    })
  return (
    <Card
      className={css.whole}
      title={say("whatif.compare")}
      aside={
        <NativeSelect
          className={css.choice}
          aria-label={say("whatif.compare")}
          value={against ?? ""}
          data={[
            { value: "", label: say("whatif.compareNone") },
            ...others.map(({ id, title, name, created_at }) => ({
              value: id,
              label: `${title || name}, ${moment(parse(created_at) ?? 0)}`,
            })),
          ]}
          onChange={({ target }) => choose(target.value)}
        />
      }
    >
      {against === undefined ? (
        <p className={css.none}>{say("whatif.compareHelp")}</p>
      ) : (
        <Beside key={against} experiment={experiment} results={results} id={against} />
      )}
    </Card>
  )
}

function Beside({ experiment, results, id }: Props & { readonly id: string }) {
  const { data: other, error } = useQuery(experimentQuery(id))
  const { data: found, error: unread } = useQuery({
    ...resultsQuery(id, other?.state ?? "", other !== undefined && isOpen(other)),
    enabled: other !== undefined,
  })
  if (error ?? unread) return <Failed error={error ?? unread} />
  if (!other || !found) return <Skeleton rows={4} />
  const theirs = new Map(found.metrics.map((each) => [each.metric, each]))
  const rows = results.metrics.flatMap((ours) => {
    const their = theirs.get(ours.metric)
    return their ? [{ ours, their }] : []
  })
  return (
    <>
      <dl className={css.differing}>
        {factsOf(experiment, other).map(({ title, ours, their }) => (
          <div key={title}>
            <dt>{title}</dt>
            <dd>
              {ours} · <span className={css.muted}>{their}</span>
            </dd>
          </div>
        ))}
      </dl>
      <PlainTable
        label={say("whatif.compareTitle", { name: other.title || other.name })}
        columns={columnsOf(results, found, other)}
        rows={rows}
        rowId={({ ours }) => ours.metric}
        empty={say("whatif.compareNothing")}
      />
      <p className={css.foot}>
        {say("whatif.compareHelp")}{" "}
        <Link to="/whatif/$id" params={{ id }} className={css.link}>
          {other.title || other.name}
        </Link>
      </p>
    </>
  )
}

interface Pair {
  readonly ours: MetricResult
  readonly their: MetricResult
}

function columnsOf(
  ours: ExperimentResults,
  theirs: ExperimentResults,
  other: Experiment,
): readonly PlainColumn<Pair>[] {
  const column = (side: keyof Pair, arm: string, title: string): PlainColumn<Pair> => ({
    id: `${side} ${arm}`,
    title,
    align: "right",
    cell: (pair) => {
      const found = pair[side].arms.find((each) => each.arm === arm)
      if (!found) return ""
      // Both sides on one scale, or they cannot be compared at a glance.
      const { value, interval } = valueText(found, scaleOfResult(pair.ours))
      return (
        <>
          {value} <span className={css.muted}>{interval}</span>
        </>
      )
    },
  })
  const armsOf = (results: ExperimentResults) => results.metrics[0]?.arms.map(({ arm }) => arm) ?? []
  return [
    {
      id: "metric",
      title: say("whatif.metric"),
      cell: ({ ours: found }) => (
        <>
          {metricTitle(found.metric)}{" "}
          <span className={css.muted}>{unitNote(found.metric, scaleOfResult(found))}</span>
        </>
      ),
    },
    ...armsOf(ours).map((arm) => column("ours", arm, arm)),
    ...armsOf(theirs).map((arm) => column("their", arm, `${other.title || other.name}: ${arm}`)),
  ]
}

/** What the two differ in, of what results depend on. */
function factsOf(ours: Experiment, theirs: Experiment) {
  const facts = (of: Experiment): Readonly<Record<string, string>> => ({
    [say("whatif.when")]: moment(parse(of.forked_at) ?? parse(of.created_at) ?? 0),
    [say("whatif.devices")]: count(deviceCount(of.devices)),
    [say("whatif.horizon")]: span(of.horizon_h * HOUR_MS),
    [say("whatif.replications")]: count(of.replications_done),
  })
  const their = facts(theirs)
  return Object.entries(facts(ours))
    .map(([title, text]) => ({ title, ours: text, their: their[title] ?? "" }))
    .filter((fact) => fact.ours !== fact.their)
}
