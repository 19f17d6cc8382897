/** Where a metric goes over time: the median of each arm and the ranges that hold 50, 80 and 95 % of futures. */
import { Button, NativeSelect } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { getRouteApi, useNavigate } from "@tanstack/react-router"
import { useMemo, useRef, useState } from "react"
import { type ArmFan, type ExperimentDetail, type Fans, fansQuery } from "@/api/whatif"
import { Card } from "@/components/Card"
import { Chip } from "@/components/Chip"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { Failed, Skeleton } from "@/components/states"
import { useTokens } from "@/components/useTokens"
import { quantity, share } from "@/words/figures"
import { say } from "@/words/say"
import { CoursePlot } from "./CoursePlot"
import { apart, columnsOf, endsOf, hoursText, inOrder, lookOf, middles, together } from "./courses"
import { plotsIn, savePicture } from "./picture"
import { metricTitle, scaleOf, type Units, unitNote } from "./resultText"
import css from "./whatif.module.css"

const route = getRouteApi("/whatif/$id")
const TALL = 260
const LOW = 200
/** So many arms still have room for a tall plot each. */
const FEW = 2
/** Metrics that can be told by time; of others the API knows no course. */
const COURSES = new Set([
  "failures",
  "availability",
  "cost",
  "maintenance_cost",
  "downtime_cost",
  "downtime_h",
  "planned",
  "energy_kwh",
  "health",
  "alerts",
])

interface Props {
  readonly experiment: ExperimentDetail
  readonly isRunning: boolean
}

export function FanCard({ experiment, isRunning }: Props) {
  const { id, metrics, state, reference } = experiment
  const search = route.useSearch()
  const navigate = useNavigate({ from: "/whatif/$id" })
  const told = metrics.filter((each) => COURSES.has(each))
  const { metric = told.includes("cost") ? "cost" : told[0], group = "", drawn } = search
  const { data, error, refetch } = useQuery({
    ...fansQuery(id, metric ?? "", group, state, isRunning),
    enabled: metric !== undefined,
  })
  const [withPaths, setWithPaths] = useState(false)
  const plots = useRef<HTMLDivElement>(null)
  const tokens = useTokens()
  if (metric === undefined) return null
  const choose = (change: Partial<typeof search>) =>
    navigate({ search: (before) => ({ ...before, ...change }), replace: true, resetScroll: false })
  const groups = data?.groups.filter(Boolean) ?? []
  const save = () => {
    if (!plots.current) return
    const title = [metricTitle(metric), group].filter(Boolean).join(", ")
    const legend =
      drawn === "together" && data
        ? inOrder(data.arms, reference).map(({ arm }, i) => ({ title: arm, ...lookOf(i, tokens) }))
        : []
    savePicture(
      `${experiment.name}-${metric}`,
      {
        title: `${experiment.title || experiment.name}: ${title}`,
        foot: experiment.citation,
        plots: plotsIn(plots.current),
        legend,
      },
      tokens,
    )
  }
  return (
    <Card
      className={css.whole}
      title={say("whatif.fan")}
      hint={[
        say(drawn === "together" ? "whatif.fanTogether" : "whatif.fanHelp"),
        data ? say("whatif.stretch", { span: hoursText(data.bucket_h) }) : "",
      ]
        .filter(Boolean)
        .join("; ")}
      aside={<Button onClick={save}>{say("whatif.picture")}</Button>}
    >
      <div className={css.tools}>
        <NativeSelect
          aria-label={say("whatif.fanMetric")}
          value={metric}
          data={told.map((value) => ({ value, label: metricTitle(value) }))}
          onChange={({ target }) => choose({ metric: target.value })}
        />
        {groups.length > 0 ? (
          <NativeSelect
            aria-label={say("whatif.fanGroup")}
            value={group}
            data={[{ value: "", label: say("whatif.allGroups") }, ...groups]}
            onChange={({ target }) => choose({ group: target.value || undefined })}
          />
        ) : null}
        <Chip pressed={drawn === undefined} onClick={() => choose({ drawn: undefined })}>
          {say("whatif.apart")}
        </Chip>
        <Chip pressed={drawn === "together"} onClick={() => choose({ drawn: "together" })}>
          {say("whatif.together")}
        </Chip>
        <Chip pressed={withPaths} onClick={() => setWithPaths(!withPaths)}>
          {say("whatif.paths")}
        </Chip>
      </div>
      {data ? (
        <div ref={plots}>
          <Plots fans={data} reference={reference} isTogether={drawn === "together"} withPaths={withPaths} />
        </div>
      ) : error ? (
        <Failed error={error} retry={refetch} />
      ) : (
        <Skeleton rows={1} height={TALL} />
      )}
      {data ? <AsTable fans={data} reference={reference} /> : null}
    </Card>
  )
}

interface PlotsProps {
  readonly fans: Fans
  readonly reference: string
  readonly isTogether: boolean
  readonly withPaths: boolean
}

function Plots({ fans, reference, isTogether, withPaths }: PlotsProps) {
  const tokens = useTokens()
  const made = useMemo(() => {
    const arms = inOrder(fans.arms, reference)
    return {
      arms,
      at: middles(fans),
      ends: endsOf(arms.flatMap((arm) => columnsOf(arm, withPaths))),
      drawings: isTogether
        ? [together(arms, tokens, withPaths)]
        : arms.map((arm) => apart(arm, tokens, withPaths)),
    }
  }, [fans, reference, isTogether, withPaths, tokens])
  const { arms, at, ends, drawings } = made
  const scale = fanScale(fans)
  const unit = unitNote(fans.metric, scale)
  const text = (value: number) => quantity(value * scale.factor, "", 3)
  const height = isTogether || arms.length <= FEW ? TALL : LOW
  if (at.length === 0) return <p className={css.none}>{say("whatif.fanEmpty")}</p>
  return (
    <>
      {isTogether ? (
        <ul className={css.legend}>
          {arms.map(({ arm }, i) => (
            <li key={arm}>
              <Stroke {...lookOf(i, tokens)} /> {arm}
            </li>
          ))}
        </ul>
      ) : null}
      <div className={css.multiples} data-together={isTogether || undefined}>
        {drawings.map((drawing, i) => {
          const shown = isTogether ? arms : arms.slice(i, i + 1)
          const names = shown.map(({ arm }) => arm).join(", ")
          return (
            <CoursePlot
              key={names}
              title={isTogether ? metricTitle(fans.metric) : names}
              unit={unit}
              label={shown.map((arm) => fanLabel(fans, arm, scale)).join("; ")}
              at={at}
              drawing={drawing}
              ends={ends}
              group={`what-if ${fans.metric}`}
              height={height}
              text={text}
              readOut={(index) => readOut(fans, shown, index, scale)}
            />
          )
        })}
      </div>
    </>
  )
}

/** The stroke that an arm is drawn with. */
function Stroke({ colour, dash }: { readonly colour: string; readonly dash?: readonly number[] }) {
  return (
    <svg width={28} height={8} aria-hidden>
      <line x1={0} x2={28} y1={4} y2={4} stroke={colour} strokeWidth={2} strokeDasharray={dash?.join(" ")} />
    </svg>
  )
}

interface Line {
  readonly arm: ArmFan
  readonly index: number
}

/** The same as figures, for who cannot see it. */
function AsTable({ fans, reference }: { readonly fans: Fans; readonly reference: string }) {
  const [open, setOpen] = useState(false)
  const scale = fanScale(fans)
  const figure = (value: number | null | undefined) => figureText(value, scale)
  const widest = fans.arms[0]?.ranges.length ?? 0
  const percent = share(fans.arms[0]?.ranges.at(-1) ?? 0)
  const columns: readonly PlainColumn<Line>[] = [
    { id: "arm", title: say("whatif.arms"), cell: ({ arm }) => arm.arm },
    {
      id: "at",
      title: say("whatif.at"),
      align: "right",
      cell: ({ index }) => hoursText(fans.start_h[index] ?? 0),
    },
    {
      id: "median",
      title: say("whatif.median"),
      align: "right",
      cell: ({ arm, index }) => figure(arm.median[index]),
    },
    {
      id: "low",
      title: say("whatif.low95", { percent }),
      align: "right",
      cell: ({ arm, index }) => figure(arm.low[widest - 1]?.[index]),
    },
    {
      id: "high",
      title: say("whatif.high95"),
      align: "right",
      cell: ({ arm, index }) => figure(arm.high[widest - 1]?.[index]),
    },
  ]
  const rows = open
    ? inOrder(fans.arms, reference).flatMap((arm) => fans.start_h.map((_, index) => ({ arm, index })))
    : []
  return (
    <details className={css.more} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>{say("whatif.asTable")}</summary>
      {open ? (
        <PlainTable
          label={say("whatif.fan")}
          columns={columns}
          rows={rows}
          rowId={({ arm, index }) => `${arm.arm} ${index}`}
          empty={say("whatif.fanEmpty")}
        />
      ) : null}
    </details>
  )
}

function fanScale({ metric, unit, arms }: Fans): Units {
  return scaleOf(
    metric,
    unit,
    arms.flatMap(({ median }) => median),
  )
}

function figureText(value: number | null | undefined, { factor, unit }: Units): string {
  return value === null || value === undefined ? "–" : quantity(value * factor, unit, 3)
}

function fanLabel({ metric }: Fans, { arm, median }: ArmFan, scale: Units): string {
  const [first, last] = [figureText(median[0], scale), figureText(median.at(-1), scale)]
  return say("whatif.fanLabel", { metric: metricTitle(metric), arm, first, last })
}

function readOut({ start_h, bucket_h }: Fans, arms: readonly ArmFan[], index: number, scale: Units): string {
  const start = start_h[index] ?? 0
  const when = `${hoursText(start)} – ${hoursText(start + bucket_h)}`
  const figures = arms.map(({ arm, median, ranges, low, high }) => {
    const value = figureText(median[index], scale)
    if (arms.length > 1) return `${arm} ${value}`
    const widest = ranges.length - 1
    return `${value} ${say("whatif.interval", {
      low: figureText(low[widest]?.[index], { ...scale, unit: "" }),
      high: figureText(high[widest]?.[index], { ...scale, unit: "" }),
    })}`
  })
  return `${figures.join(" · ")} · ${when}`
}
