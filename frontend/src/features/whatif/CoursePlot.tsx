/** Lines over the hours after the fork, before the ranges that lie behind them. Plots of a `group` share their cursor. */
import { useEffect, useRef } from "react"
import uPlot from "uplot"
import "uplot/dist/uPlot.min.css"
import type { Tokens } from "@/components/tokens"
import { useSize } from "@/components/useSize"
import { useTokens } from "@/components/useTokens"
import css from "./CoursePlot.module.css"
import { type Drawing, hoursText } from "./courses"

interface Props {
  readonly title: string
  readonly unit: string
  readonly label: string
  /** h after the fork. */
  readonly at: readonly number[]
  readonly drawing: Drawing
  readonly ends: readonly [number, number]
  readonly group: string
  readonly height: number
  /** How a value reads beside the axis. */
  readonly text: (value: number) => string
  /** What is to be said of the place under the cursor. */
  readonly readOut: (index: number) => string
}

const FONT = "11px Inter Variable, Inter, system-ui"
const INCREMENTS_H = [0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 72, 120, 168, 240, 336, 720, 1440, 2160, 4320, 8760]

export function CoursePlot(props: Props) {
  const { title, unit, label, at, drawing, ends, group, height } = props
  const frame = useRef<HTMLDivElement>(null)
  const readout = useRef<HTMLSpanElement>(null)
  const acts = useRef(props)
  const { width } = useSize(frame)
  const tokens = useTokens()
  const [least, greatest] = ends

  useEffect(() => {
    acts.current = props
  })

  useEffect(() => {
    const element = frame.current
    if (!element || width === 0) return
    const data = [at, ...drawing.lines.map(({ values }) => values)] as unknown as uPlot.AlignedData
    const plot = new uPlot(
      {
        ...options(tokens, group, acts),
        width,
        height,
        scales: { x: { time: false }, y: { range: () => [least, greatest] } },
        series: [
          {},
          ...drawing.lines.map(({ colour, width: stroke, dash }) => ({
            stroke: colour,
            width: stroke,
            dash: dash ? [...dash] : undefined,
            points: { show: false },
            spanGaps: false,
          })),
        ],
        hooks: {
          drawClear: [(drawn) => drawBands(drawn, drawing)],
          setCursor: [
            ({ cursor: { idx } }) => {
              if (readout.current)
                readout.current.textContent =
                  idx === null || idx === undefined ? "" : acts.current.readOut(idx)
            },
          ],
        },
      },
      data,
      element,
    )
    return () => plot.destroy()
  }, [width, height, tokens, group, at, drawing, least, greatest])

  return (
    <figure className={css.course} data-title={`${title}, ${unit}`}>
      <figcaption className={css.caption}>
        <span className={css.title} title={title}>
          {title}
        </span>
        <span className={css.unit}>{unit}</span>
        <span className={css.readout} ref={readout} aria-hidden />
      </figcaption>
      <div ref={frame} className={css.plot} role="img" aria-label={label} style={{ height }} />
    </figure>
  )
}

function options(
  tokens: Tokens,
  group: string,
  acts: { readonly current: Props },
): Pick<uPlot.Options, "legend" | "cursor" | "padding" | "axes"> {
  return {
    legend: { show: false },
    padding: [6, 12, 0, 0],
    cursor: { sync: { key: group, setSeries: false }, drag: { x: false, y: false }, points: { show: false } },
    axes: [
      {
        stroke: tokens.muted,
        font: FONT,
        grid: { show: false },
        ticks: { show: false },
        size: 22,
        space: 60,
        incrs: INCREMENTS_H,
        values: (_, ticks) => ticks.map(hoursText),
      },
      {
        stroke: tokens.muted,
        font: FONT,
        grid: { stroke: tokens.line, width: 1 },
        ticks: { show: false },
        size: 60,
        gap: 6,
        space: 34,
        values: (_, ticks) => ticks.map((tick) => acts.current.text(tick)),
      },
    ],
  }
}

/** The widest first, so that the narrow ones lie over it. */
function drawBands(plot: uPlot, { bands }: Drawing): void {
  const { ctx, data } = plot
  const times = data[0]
  ctx.save()
  for (const { low, high, fill } of bands.toReversed()) {
    const place = (values: readonly (number | null)[], i: number): [number, number] => [
      plot.valToPos(times[i] ?? 0, "x", true),
      plot.valToPos(values[i] ?? 0, "y", true),
    ]
    const known = [...times.keys()].filter((i) => low[i] != null && high[i] != null)
    if (known.length === 0) continue
    ctx.fillStyle = fill
    ctx.beginPath()
    for (const i of known) ctx.lineTo(...place(high, i))
    for (const i of known.reverse()) ctx.lineTo(...place(low, i))
    ctx.closePath()
    ctx.fill()
  }
  ctx.restore()
}
