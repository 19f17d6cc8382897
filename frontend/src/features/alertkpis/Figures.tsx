/** The figures, each with its unit, its period and what is still good. One beyond it is marked, by colour and a word. */
import type { AlertKpis } from "@/api/schema"
import { Figure, FigureStrip } from "@/components/Figure"
import { PriorityMark } from "@/components/PriorityMark"
import { PRIORITIES } from "@/components/tokens"
import { count, quantity, share } from "@/words/figures"
import { say } from "@/words/say"
import { clock, parse, span } from "@/words/times"
import css from "./Figures.module.css"

interface Props {
  readonly kpis: AlertKpis
  readonly period: string
}

const FLOOD_ABOVE = 10

export function Figures({ kpis, period }: Props) {
  const { per_hour, acceptable_per_hour, manageable_per_hour, most_in_10_min } = kpis
  const flooded = parse(kpis.flooded_since)
  return (
    <FigureStrip label={say("kpis.figures")}>
      <Figure
        title={say("kpis.rate")}
        figure={say("kpis.perHour", { n: quantity(per_hour, "", 2) })}
        over={
          per_hour > manageable_per_hour
            ? say("kpis.beyondManageable")
            : per_hour > acceptable_per_hour
              ? say("kpis.beyondAcceptable")
              : ""
        }
        help={say("kpis.rateHelp", { good: acceptable_per_hour, most: manageable_per_hour, period })}
      >
        <Scale value={per_hour} marks={[acceptable_per_hour, manageable_per_hour]} />
      </Figure>
      <Figure
        title={say("kpis.peak")}
        figure={say("kpis.inTen", { n: count(most_in_10_min) })}
        over={most_in_10_min > FLOOD_ABOVE ? say("kpis.aboveFlood") : ""}
        help={say("kpis.peakHelp", { share: share(kpis.share_of_10_min_above_10), period })}
      >
        <Scale value={most_in_10_min} marks={[FLOOD_ABOVE]} />
      </Figure>
      <Figure
        title={say("kpis.floods")}
        figure={count(kpis.floods)}
        over={flooded === null ? "" : say("kpis.floodOn", { time: clock(flooded, false) })}
        help={say("kpis.floodsHelp", { share: share(kpis.share_of_time_in_flood), period })}
      />
      <Figure
        title={say("kpis.raised")}
        figure={count(kpis.raised)}
        help={say("kpis.raisedHelp", { period })}
      >
        <span className={css.priorities}>
          {PRIORITIES.map((priority) => (
            <span key={priority}>
              <PriorityMark priority={priority} /> {count(kpis.by_priority[priority])}
            </span>
          ))}
        </span>
      </Figure>
      <Figure
        title={say("kpis.acknowledge")}
        figure={seconds(kpis.median_s_to_acknowledge)}
        help={say("kpis.acknowledgeHelp", {
          p90: seconds(kpis.p90_s_to_acknowledge),
          n: count(kpis.acknowledged),
          all: count(kpis.raised),
          period,
        })}
      />
      <Figure title={say("kpis.stale")} figure={count(kpis.stale)} help={say("kpis.staleHelp")} />
    </FigureStrip>
  )
}

function seconds(s: number | null): string {
  return s === null ? "–" : span(s * 1000)
}

/** A value as a bar, with a line at each limit. */
function Scale({ value, marks }: { readonly value: number; readonly marks: readonly number[] }) {
  const most = Math.max(value, ...marks.map((mark) => mark * 1.5))
  const at = (part: number) => `${(part / most) * 100}%`
  return (
    <svg className={css.scale} width="100%" height="12" aria-hidden="true">
      <rect className={css.track} width="100%" y="3" height="6" />
      <rect className={css.bar} width={at(value)} y="3" height="6" />
      {marks.map((mark) => (
        <line key={mark} className={css.mark} x1={at(mark)} x2={at(mark)} y1="0" y2="12" />
      ))}
    </svg>
  )
}
