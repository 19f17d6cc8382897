/**
 * One quantity over time. Many readings share a pixel: then the least and greatest of each are drawn, never a mean. A gap
 * in data is a gap in the line. What is expected lies behind. Charts with the same `group` share their cursor.
 */
import { useEffect, useRef } from "react"
import uPlot from "uplot"
import "uplot/dist/uPlot.min.css"
import type { Expected, Series } from "@/api/schema"
import { quantity, unitText } from "@/words/figures"
import { say } from "@/words/say"
import { clock, dayOfYear } from "@/words/times"
import css from "./SeriesChart.module.css"
import {
  axisRange,
  type Drawn,
  drawBand,
  drawMoments,
  drawStretches,
  type Moment,
  type Stretch,
} from "./seriesDrawing"
import type { Tokens } from "./tokens"
import { useSize } from "./useSize"
import { useTokens } from "./useTokens"

interface Props {
  readonly title: string
  readonly unit: string
  readonly label: string
  readonly series: Series
  /** Where readings lie while all is well; drawn behind them. */
  readonly expected?: Expected | null
  /** Epoch ms. */
  readonly start: number
  readonly end: number
  readonly moments?: readonly Moment[]
  readonly stretches?: readonly Stretch[]
  readonly group: string
  readonly height?: number
  /** Least and greatest of the axis; else from the data. */
  readonly axis?: readonly [number, number]
  readonly withTimes?: boolean
  readonly onZoom: (start: number, end: number) => void
  readonly onBack: () => void
}

const TIMES_PX = 22

export function SeriesChart(props: Props) {
  const { title, unit, label, series, expected, start, end } = props
  const { group, height = 104, axis, withTimes = false } = props
  const frame = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | null>(null)
  const readout = useRef<HTMLSpanElement>(null)
  const { width } = useSize(frame)
  const tokens = useTokens()
  const drawn = useRef<Drawn>({ moments: [], stretches: [], expected: null, tokens })
  const acts = useRef(props)
  const enveloped = Boolean(series.min && series.max)
  const tall = height + (withTimes ? TIMES_PX : 0)
  const [least, greatest] = axis ?? [undefined, undefined]

  useEffect(() => {
    acts.current = props
    const { moments = [], stretches = [], expected = null } = props
    drawn.current = { moments, stretches, expected, tokens }
  })

  useEffect(() => {
    const element = frame.current
    if (!element || width === 0) return
    const plot = new uPlot(
      options({
        width,
        height: tall,
        tokens,
        enveloped,
        group,
        withTimes,
        unit,
        least,
        greatest,
        drawn,
        acts,
        readout,
      }),
      [[], ...(enveloped ? [[], []] : [[]])] as uPlot.AlignedData,
      element,
    )
    const stopTouch = dragByTouch(plot, (from, to) => acts.current.onZoom(from, to))
    chart.current = plot
    return () => {
      stopTouch()
      plot.destroy()
      chart.current = null
    }
  }, [width, tall, tokens, enveloped, group, withTimes, unit, least, greatest])

  // biome-ignore lint/correctness/useExhaustiveDependencies: a chart made anew for another width, theme or form needs its data again; marks are drawn with it
  useEffect(() => {
    const plot = chart.current
    if (!plot) return
    const frameId = requestAnimationFrame(() => {
      plot.batch(() => {
        plot.setData(aligned(series), false)
        plot.setScale("x", { min: start / 1000, max: end / 1000 })
      })
    })
    return () => cancelAnimationFrame(frameId)
  }, [
    series,
    start,
    end,
    props.moments,
    props.stretches,
    expected?.low,
    expected?.high,
    width,
    tall,
    tokens,
    enveloped,
    unit,
    least,
    greatest,
  ])

  return (
    <figure className={css.chart}>
      <figcaption className={css.caption}>
        <span className={css.title}>{title}</span>
        <span className={css.unit}>{unitText(unit)}</span>
        {expected ? (
          <span className={css.expected}>
            {say("device.expected", { low: quantity(expected.low), high: quantity(expected.high) })}
          </span>
        ) : null}
        <span className={css.readout} ref={readout} aria-hidden />
      </figcaption>
      <div ref={frame} className={css.plot} role="img" aria-label={label} style={{ height: tall }} />
    </figure>
  )
}

interface Making {
  readonly width: number
  readonly height: number
  readonly tokens: Tokens
  readonly enveloped: boolean
  readonly group: string
  readonly withTimes: boolean
  readonly unit: string
  readonly least: number | undefined
  readonly greatest: number | undefined
  readonly drawn: { readonly current: Drawn }
  readonly acts: { readonly current: Props }
  readonly readout: { readonly current: HTMLSpanElement | null }
}

function options(making: Making): uPlot.Options {
  const { width, height, tokens, enveloped, group, withTimes, unit, least, greatest, drawn, acts, readout } =
    making
  const line: uPlot.Series = {
    stroke: tokens.ink,
    width: 1.2,
    spanGaps: false,
    points: { show: lonely, size: 3 },
  }
  return {
    width,
    height,
    legend: { show: false },
    padding: [6, 0, withTimes ? 0 : 4, 0],
    cursor: {
      sync: { key: group, setSeries: false },
      drag: { x: true, y: false, setScale: false },
      points: { show: false },
      bind: {
        dblclick: () => () => {
          acts.current.onBack()
          return null
        },
      },
    },
    scales: {
      x: { time: true },
      y: {
        range: (_, low, high) =>
          least !== undefined && greatest !== undefined
            ? [least, greatest]
            : axisRange(low, high, drawn.current.expected),
      },
    },
    axes: [
      {
        show: withTimes,
        stroke: tokens.muted,
        font: "11px Inter Variable, Inter, system-ui",
        grid: { show: false },
        ticks: { show: false },
        size: TIMES_PX,
        space: 90,
        values: (_, ticks) => timeTicks(ticks),
      },
      {
        stroke: tokens.muted,
        font: "11px Inter Variable, Inter, system-ui",
        grid: { stroke: tokens.line, width: 1 },
        ticks: { show: false },
        size: 56,
        gap: 6,
        space: 34,
        values: (_, ticks) => ticks.map((tick) => quantity(tick)),
      },
    ],
    series: enveloped ? [{}, { ...line, width: 1 }, { ...line, width: 1 }] : [{}, line],
    bands: enveloped ? [{ series: [2, 1], fill: `${tokens.ink}66` }] : [],
    hooks: {
      drawClear: [(plot) => drawBand(plot, drawn.current)],
      draw: [
        (plot) => {
          drawStretches(plot, drawn.current)
          drawMoments(plot, drawn.current)
        },
      ],
      setSelect: [
        (plot) => {
          const { left, width: wide } = plot.select
          if (wide > 4)
            acts.current.onZoom(plot.posToVal(left, "x") * 1000, plot.posToVal(left + wide, "x") * 1000)
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
        },
      ],
      setCursor: [
        (plot) => {
          if (readout.current) readout.current.textContent = readOut(plot, unit, enveloped)
        },
      ],
    },
  }
}

/** Points are drawn only where a reading stands alone between gaps and no line would show it. */
const lonely: uPlot.Series.Points.Show = (plot, seriesIndex, first, last) => {
  const values = plot.data[seriesIndex] ?? []
  for (let i = first; i <= last; i++)
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) return true
  return false
}

function aligned({ time, value, min, max }: Series): uPlot.AlignedData {
  const seconds = time.map((ms) => ms / 1000)
  return (min && max ? [seconds, min, max] : [seconds, value ?? []]) as uPlot.AlignedData
}

function timeTicks(ticks: readonly number[]): string[] {
  const step = ((ticks[1] ?? 0) - (ticks[0] ?? 0)) * 1000
  const days = step >= 20 * 3600_000
  let before = ""
  return ticks.map((tick) => {
    const at = tick * 1000
    const date = dayOfYear(at)
    if (days) return date
    const text = clock(at, step > 0 && step < 60_000)
    const turned = before !== "" && before !== date
    before = date
    return turned ? `${date} ${text}` : text
  })
}

function readOut(plot: uPlot, unit: string, enveloped: boolean): string {
  const { idx } = plot.cursor
  if (idx === null || idx === undefined) return ""
  const at = plot.data[0][idx]
  const [a, b] = [plot.data[1]?.[idx], enveloped ? plot.data[2]?.[idx] : undefined]
  if (at === undefined || a === null || a === undefined) return ""
  const time = `${dayOfYear(at * 1000)} ${clock(at * 1000)}`
  if (b === null || b === undefined || a === b) return `${quantity(a, unit)} · ${time}`
  return `${quantity(a)} to ${quantity(b, unit)} · ${time}`
}

/** A finger that moves sideways selects a stretch; one that moves up or down scrolls the page. */
function dragByTouch(plot: uPlot, zoom: (start: number, end: number) => void): () => void {
  const { over } = plot
  over.style.touchAction = "pan-y"
  let from: number | null = null
  const place = (event: PointerEvent) => event.clientX - over.getBoundingClientRect().left
  const down = (event: PointerEvent) => {
    from = event.pointerType === "touch" ? place(event) : null
  }
  const move = (event: PointerEvent) => {
    if (from === null) return
    const to = place(event)
    const height = over.clientHeight
    plot.setSelect({ left: Math.min(from, to), top: 0, width: Math.abs(to - from), height }, false)
    plot.setCursor({ left: to, top: height / 2 })
  }
  const up = (event: PointerEvent) => {
    if (from === null) return
    const [left, right] = [Math.min(from, place(event)), Math.max(from, place(event))]
    from = null
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
    if (right - left > 12) zoom(plot.posToVal(left, "x") * 1000, plot.posToVal(right, "x") * 1000)
  }
  const drop = () => {
    from = null
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
  }
  over.addEventListener("pointerdown", down)
  over.addEventListener("pointermove", move)
  over.addEventListener("pointerup", up)
  over.addEventListener("pointercancel", drop)
  return () => {
    over.removeEventListener("pointerdown", down)
    over.removeEventListener("pointermove", move)
    over.removeEventListener("pointerup", up)
    over.removeEventListener("pointercancel", drop)
  }
}
