/** What was forecast against what came. On the dashed line both are the same. */
import { useRef } from "react"
import { useSize } from "@/components/useSize"
import { bandPath, mostOf, type Place, type Point, path, radii, ticksUpTo } from "./plotting"
import css from "./TruthPlot.module.css"

interface Props {
  readonly label: string
  readonly points: readonly Point[]
  /** Where both axes end; else where all points have room. */
  readonly most?: number
  readonly acrossTitle: string
  readonly upTitle: string
  /** How a value reads beside an axis. */
  readonly text: (value: number) => string
}

const HEIGHT = 240
const LEFT = 56
const RIGHT = 16
const TOP = 10
const FOOT = 22

export function TruthPlot({ label, points, most = mostOf(points), acrossTitle, upTitle, text }: Props) {
  const frame = useRef<HTMLDivElement>(null)
  const { width } = useSize(frame)
  const at = (across: number, up: number): Place => [
    LEFT + (across / most) * (width - LEFT - RIGHT),
    HEIGHT - FOOT - (up / most) * (HEIGHT - FOOT - TOP),
  ]
  const sizes = radii(points)
  const places = points.map(({ across, up }) => at(across, up))
  return (
    <figure className={css.figure}>
      <p className={css.title}>{upTitle}</p>
      <div ref={frame} className={css.frame} style={{ height: HEIGHT }}>
        <svg width={width} height={HEIGHT} role="img" aria-label={label}>
          {ticksUpTo(most).map((tick) => (
            <Tick key={tick} place={at(tick, tick)} end={width - RIGHT} text={text(tick)} />
          ))}
          <path className={css.band} d={bandPath(points, at)} />
          <path className={css.same} d={path([at(0, 0), at(most, most)])} />
          <path className={css.line} d={path(places)} />
          {places.map(([x, y], i) => (
            <circle key={JSON.stringify(points[i])} className={css.point} cx={x} cy={y} r={sizes[i]} />
          ))}
        </svg>
      </div>
      <p className={css.foot}>{acrossTitle}</p>
    </figure>
  )
}

/** A value on both axes. */
function Tick({ place: [x, y], end, text }: { place: Place; end: number; text: string }) {
  return (
    <>
      <line className={css.grid} x1={LEFT} x2={end} y1={y} y2={y} />
      <text className={css.text} x={LEFT - 6} y={y + 4} textAnchor="end">
        {text}
      </text>
      <text className={css.text} x={x} y={HEIGHT - 5} textAnchor="middle">
        {text}
      </text>
    </>
  )
}
