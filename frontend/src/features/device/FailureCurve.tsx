/** The probability of a failure by each time ahead. */
import { useRef } from "react"
import type { FailureCurve as Curve } from "@/api/schema"
import { useSize } from "@/components/useSize"
import { share } from "@/words/figures"
import { say } from "@/words/say"
import { span } from "@/words/times"
import css from "./FailureCurve.module.css"
import { curvePlaces } from "./failurePlaces"

const HEIGHT = 96
const FOOT = 18
const TOP = 6
const HOUR_MS = 3_600_000

export function FailureCurve({ curve, untilH }: { readonly curve: Curve; readonly untilH: number }) {
  const frame = useRef<HTMLDivElement>(null)
  const { width } = useSize(frame)
  const places = curvePlaces(curve, untilH)
  const x = (part: number) => 14 + part * Math.max(0, width - 28)
  const y = (p: number) => TOP + (1 - p) * (HEIGHT - FOOT - TOP)
  const line = places.map(([part, p]) => `${x(part)},${y(p)}`).join("L")
  const last = places.at(-1)?.[1] ?? 0
  return (
    <div ref={frame} className={css.frame} style={{ height: HEIGHT }}>
      <svg
        width={width}
        height={HEIGHT}
        role="img"
        aria-label={say("prognosis.curve", { span: span(untilH * HOUR_MS), p: share(last) })}
      >
        {[0, 0.5, 1].map((p) => (
          <line key={p} className={css.grid} x1={x(0)} x2={x(1)} y1={y(p)} y2={y(p)} />
        ))}
        <path className={css.area} d={`M${x(0)},${y(0)}L${line}L${x(1)},${y(0)}Z`} />
        <path className={css.line} d={`M${line}`} />
        <text className={css.text} x={x(0)} y={HEIGHT - 4}>
          {say("prognosis.now")}
        </text>
        <text className={css.text} x={x(0.5)} y={HEIGHT - 4} textAnchor="middle">
          {span((untilH / 2) * HOUR_MS)}
        </text>
        <text className={css.text} x={x(1)} y={HEIGHT - 4} textAnchor="end">
          {span(untilH * HOUR_MS)}
        </text>
        <text className={css.text} x={x(0) + 2} y={y(1) + 11}>
          {share(1)}
        </text>
      </svg>
    </div>
  )
}
