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
  const shared = results.metrics.flatMap((ours) => {
    const their = theirs.get(ours.metric)
    return their ? [{ ours, their }] : []
  })
  const rows = (["ours", "their"] as const).flatMap((side) =>
    (shared[0]?.[side].arms ?? []).map(({ arm }) => ({ side, arm })),
  )
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
        columns={columnsOf(shared, { ours: experiment, their: other })}
        rows={rows}
        rowId={({ side, arm }) => `${side} ${arm}`}
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

interface Row {
  readonly side: keyof Pair
  readonly arm: string
}

/** The arms of both below each other, by metric; both on one scale, or they cannot be compared at a glance. */
function columnsOf(
  shared: readonly Pair[],
  of: Readonly<Record<keyof Pair, Experiment>>,
): readonly PlainColumn<Row>[] {
  return [
    { id: "arm", title: say("whatif.arm"), cell: ({ arm }) => arm },
    {
      id: "experiment",
      title: say("whatif.name"),
      wraps: true,
      cell: ({ side }) => (
        <span className={side === "ours" ? undefined : css.muted}>{of[side].title || of[side].name}</span>
      ),
    },
    ...shared.map((pair): PlainColumn<Row> => {
      const scale = scaleOfResult(pair.ours)
      return {
        id: pair.ours.metric,
        title: `${metricTitle(pair.ours.metric)}, ${unitNote(pair.ours.metric, scale)}`,
        align: "right",
        cell: ({ side, arm }) => {
          const found = pair[side].arms.find((each) => each.arm === arm)
          if (!found) return ""
          const { value, interval } = valueText(found, scale)
          return (
            <>
              {value} <span className={css.muted}>{interval}</span>
            </>
          )
        },
      }
    }),
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
