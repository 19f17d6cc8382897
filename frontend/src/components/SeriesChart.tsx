/**
 * One quantity over time. Many readings share a pixel: then the least and greatest of each are drawn, never a mean. A gap
 * in data is a gap in the line. Charts with the same `group` share their cursor.
 */
import { useEffect, useRef } from "react"
import uPlot from "uplot"
import "uplot/dist/uPlot.min.css"
import type { Priority, Series } from "@/api/schema"
import { quantity, unitText } from "@/words/figures"
import { clock, dayOfYear } from "@/words/times"
import css from "./SeriesChart.module.css"
import type { Tokens } from "./tokens"
import { useSize } from "./useSize"
import { useTokens } from "./useTokens"

/** A moment to point out: an alert, by its mark, or an event, by a plain line. */
export interface Moment {
  readonly at: number
  readonly priority?: Priority
}

/** A stretch of time that is shaded: a pattern, from its start. */
export interface Stretch {
  readonly start: number
  readonly end: number
}

interface Props {
  readonly title: string
  readonly unit: string
  readonly label: string
  readonly series: Series
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

interface Drawn {
  readonly moments: readonly Moment[]
  readonly stretches: readonly Stretch[]
  readonly tokens: Tokens
}

const TIMES_PX = 22

export function SeriesChart(props: Props) {
  const { title, unit, label, series, start, end, group, height = 104, axis, withTimes = false } = props
  const frame = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | null>(null)
  const readout = useRef<HTMLSpanElement>(null)
  const { width } = useSize(frame)
  const tokens = useTokens()
  const drawn = useRef<Drawn>({ moments: [], stretches: [], tokens })
  const acts = useRef(props)
  const enveloped = Boolean(series.min && series.max)
  const tall = height + (withTimes ? TIMES_PX : 0)
  const [least, greatest] = axis ?? [undefined, undefined]

  useEffect(() => {
    acts.current = props
    drawn.current = { moments: props.moments ?? [], stretches: props.stretches ?? [], tokens }
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
      y: { range: (_, low, high) => axisRange(low, high, least, greatest) },
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
      drawClear: [(plot) => drawStretches(plot, drawn.current)],
      draw: [(plot) => drawMoments(plot, drawn.current)],
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

function axisRange(
  low: number | null,
  high: number | null,
  least?: number,
  greatest?: number,
): [number, number] {
  if (least !== undefined && greatest !== undefined) return [least, greatest]
  if (low === null || high === null) return [0, 1]
  const room = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1
  return [low - room, high + room]
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

function drawStretches(plot: uPlot, { stretches, tokens }: Drawn): void {
  const { ctx, bbox } = plot
  for (const { start, end } of stretches) {
    const left = Math.max(bbox.left, plot.valToPos(start / 1000, "x", true))
    const right = Math.min(bbox.left + bbox.width, plot.valToPos(end / 1000, "x", true))
    if (right <= left) continue
    ctx.fillStyle = tokens.band
    ctx.fillRect(left, bbox.top, Math.max(2, right - left), bbox.height)
  }
}

function drawMoments(plot: uPlot, { moments, tokens }: Drawn): void {
  const { ctx, bbox } = plot
  const ratio = uPlot.pxRatio
  ctx.save()
  for (const { at, priority } of moments) {
    const x = Math.round(plot.valToPos(at / 1000, "x", true)) + 0.5
    if (x < bbox.left || x > bbox.left + bbox.width) continue
    const colour = priority ? tokens[priority] : tokens.muted
    ctx.strokeStyle = ctx.fillStyle = colour
    ctx.lineWidth = ratio
    ctx.setLineDash([2 * ratio, 2 * ratio])
    ctx.beginPath()
    ctx.moveTo(x, bbox.top + (priority ? 9 * ratio : 0))
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
    if (priority) drawMark(ctx, priority, x, bbox.top + 4.5 * ratio, 4 * ratio)
  }
  ctx.restore()
}

function drawMark(pen: CanvasRenderingContext2D, priority: Priority, x: number, y: number, r: number): void {
  pen.beginPath()
  if (priority === "critical") pen.rect(x - r, y - r, 2 * r, 2 * r)
  else if (priority === "medium") pen.arc(x, y, r, 0, 2 * Math.PI)
  else {
    pen.moveTo(x, y - r)
    pen.lineTo(x + r, priority === "high" ? y + r : y)
    if (priority === "low") pen.lineTo(x, y + r)
    pen.lineTo(x - r, priority === "high" ? y + r : y)
  }
  pen.fill()
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
