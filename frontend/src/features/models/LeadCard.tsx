/** How long before their failures warnings began, and how many failures had none: a curve that falls at each failure. */
import { useRef } from "react"
import type { LeadPoint, VersionRecord } from "@/api/schema"
import type { PlainColumn } from "@/components/PlainTable"
import { useSize } from "@/components/useSize"
import { count, quantity, share } from "@/words/figures"
import { say } from "@/words/say"
import { PlotFrame, shareColumn } from "./PlotCard"
import { fallingPath, type Place, path, ticksUpTo } from "./plotting"
import css from "./TruthPlot.module.css"

const HEIGHT = 240
const LEFT = 56
const RIGHT = 16
const TOP = 10
const FOOT = 22
/** Where nothing was warned of the axis ends at a week, which forecasts are of. */
const WEEK_H = 168
/** So near the top that words have no room above. */
const NEARLY_ALL = 0.94

export function LeadCard({ of }: { readonly of: VersionRecord }) {
  const title = say("models.leads", { n: of.version })
  const before: PlainColumn<LeadPoint> = {
    id: "before",
    title: say("models.leadsBefore"),
    align: "right",
    cell: (row) => quantity(row.before_h, "h", 3),
  }
  return (
    <PlotFrame
      title={title}
      hint={say("models.leadsHelp")}
      rows={of.leads}
      columns={[before, shareColumn("share", say("models.leadsShare"))]}
    >
      <LeadPlot title={title} of={of} />
    </PlotFrame>
  )
}

function LeadPlot({ title, of }: { readonly title: string; readonly of: VersionRecord }) {
  const frame = useRef<HTMLDivElement>(null)
  const { width } = useSize(frame)
  const { leads, failures, missed } = of
  const most = leads.at(-1)?.before_h || WEEK_H
  const atAll = leads[0]?.share ?? 0
  const at = (beforeH: number, part: number): Place => [
    LEFT + (beforeH / most) * (width - LEFT - RIGHT),
    HEIGHT - FOOT - part * (HEIGHT - FOOT - TOP),
  ]
  const [, bottom] = at(0, 0)
  const [, warned] = at(0, atAll)
  const label = say("models.leadsPlot", {
    title,
    warned: count(failures - missed),
    failures: count(failures),
  })
  return (
    <figure className={css.figure}>
      <p className={css.title}>{say("models.leadsShare")}</p>
      <div ref={frame} className={css.frame} style={{ height: HEIGHT }}>
        <svg width={width} height={HEIGHT} role="img" aria-label={label}>
          {ticksUpTo(1).map((tick) => (
            <Level key={tick} y={at(0, tick)[1]} end={width - RIGHT} text={share(tick)} />
          ))}
          {ticksUpTo(most).map((tick) => (
            <text key={tick} className={css.text} x={at(tick, 0)[0]} y={HEIGHT - 5} textAnchor="middle">
              {quantity(tick, "h", 3)}
            </text>
          ))}
          <path className={css.same} d={path([at(0, atAll), at(most, atAll)])} />
          <text
            className={css.text}
            x={width - RIGHT}
            y={atAll > NEARLY_ALL ? warned + 14 : warned - 5}
            textAnchor="end"
          >
            {say("models.leadsMissed", { n: failures, missed: count(missed) })}
          </text>
          <path
            className={css.line}
            d={fallingPath(
              leads.map((each) => at(each.before_h, each.share)),
              bottom,
            )}
          />
        </svg>
      </div>
      <p className={css.foot}>{say("models.leadsBefore")}</p>
    </figure>
  )
}

/** A share of the failures, across the plot. */
function Level({ y, end, text }: { readonly y: number; readonly end: number; readonly text: string }) {
  return (
    <>
      <line className={css.grid} x1={LEFT} x2={end} y1={y} y2={y} />
      <text className={css.text} x={LEFT - 6} y={y + 4} textAnchor="end">
        {text}
      </text>
    </>
  )
}
