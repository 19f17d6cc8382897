/** What lies behind and over the line of a chart: the expected band, stretches and moments; and the axis that shows them. */
import uPlot from "uplot"
import type { Expected, Priority } from "@/api/schema"
import type { Tokens } from "./tokens"

/** A moment to point out: an alert, by its mark, or an event, by a plain line. */
export interface Moment {
  readonly at: number
  readonly priority?: Priority
}

/** A stretch of time that is marked: a pattern, from its start. */
export interface Stretch {
  readonly start: number
  readonly end: number
}

export interface Drawn {
  readonly moments: readonly Moment[]
  readonly stretches: readonly Stretch[]
  readonly expected: Expected | null
  readonly tokens: Tokens
}

const STRIP_PX = 4

/** The ends of an axis with room for what was measured and for what is expected. */
export function axisRange(
  low: number | null,
  high: number | null,
  expected: Expected | null,
): [number, number] {
  const values = [low, high, expected?.low, expected?.high].filter((value) => value != null)
  if (values.length === 0) return [0, 1]
  const [least, greatest] = [Math.min(...values), Math.max(...values)]
  const room = (greatest - least) * 0.08 || Math.abs(greatest) * 0.05 || 1
  return [least - room, greatest + room]
}

/** What is expected, as a band over the whole width. */
export function drawBand(plot: uPlot, { expected, tokens }: Drawn): void {
  if (!expected) return
  const { ctx, bbox } = plot
  const top = plot.valToPos(expected.high, "y", true)
  const foot = plot.valToPos(expected.low, "y", true)
  ctx.fillStyle = tokens.band
  ctx.fillRect(bbox.left, top, bbox.width, Math.max(uPlot.pxRatio, foot - top))
}

/** Each stretch is a strip along the foot of the plot. */
export function drawStretches(plot: uPlot, { stretches, tokens }: Drawn): void {
  const { ctx, bbox } = plot
  const height = STRIP_PX * uPlot.pxRatio
  ctx.fillStyle = tokens.barFill
  for (const { start, end } of stretches) {
    const left = Math.max(bbox.left, plot.valToPos(start / 1000, "x", true))
    const right = Math.min(bbox.left + bbox.width, plot.valToPos(end / 1000, "x", true))
    if (right <= left) continue
    ctx.fillRect(left, bbox.top + bbox.height - height, Math.max(2, right - left), height)
  }
}

/** Each moment is a dashed line, under the mark of its priority if it has one. */
export function drawMoments(plot: uPlot, { moments, tokens }: Drawn): void {
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
