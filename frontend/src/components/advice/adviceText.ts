/** Recommendations in words: what speaks for one, what it costs, by when, and what was decided. */
import type { Recommendation, TypeInfo } from "@/api/schema"
import { channelTitle } from "@/components/channelTitle"
import { count, quantity, share } from "@/words/figures"
import { say, sayOf } from "@/words/say"
import { ago, moment, now, parse, span } from "@/words/times"
import { measured } from "@/words/units"

type Sign = Recommendation["why"][number]
type Action = Recommendation["actions"][number]

const HOUR_MS = 3_600_000

/** An amount in the fleet's currency, whole. */
export function amount(n: number | null | undefined): string {
  return count(n === null || n === undefined ? n : Math.round(n))
}

/** What a recommendation is about. */
export function modeText({ title, failure_mode }: Recommendation): string {
  return title ?? failure_mode ?? say("advice.unexplained")
}

/** A sign in a few words. */
export function reasonText(sign: Sign, type: TypeInfo | undefined): string {
  if (sign.kind === "alert") return sign.title
  if (sign.kind === "prognosis") return say("advice.forecast", { share: share(sign.p_fail_7d) })
  return say("device.indicator", {
    channel: channelTitle(type, sign.channel),
    indicator: sayOf("patterns", sign.pattern, sign.pattern),
  })
}

/** What more there is to say of a sign. */
export function signFacts(sign: Sign): string {
  if (sign.kind === "pattern") return ""
  if (sign.kind === "alert")
    return sign.limit === null
      ? measured(sign.value, sign.unit)
      : say("advice.outOf", {
          value: measured(sign.value, sign.unit),
          limit: measured(sign.limit, sign.unit),
        })
  const { rul_p05_h: low, rul_p50_h: median, rul_p95_h: high, model_version } = sign
  const lasts =
    low === null || median === null || high === null
      ? ""
      : say("advice.lasts", { low: hours(low), median: hours(median), high: hours(high) })
  return [
    say("advice.chances", {
      day: share(sign.p_fail_24h),
      month: share(sign.p_fail_30d),
    }),
    lasts,
    model_version === null ? "" : say("advice.model", { n: model_version }),
  ]
    .filter(Boolean)
    .join(" · ")
}

/** How long an action takes, how many people, and which spares. */
export function effortText({ duration_h, crew, spares }: Action): string {
  const parts = Object.entries(spares).map(([name, n]) => say("advice.spare", { n, name }))
  return [quantity(duration_h, "h", 2), say("advice.crew", { n: crew }), ...parts].join(" · ")
}

/** By when it is due: "now" once that has come. */
export function dueText(due: string | null, present = now()): string {
  const at = parse(due)
  if (at === null) return "–"
  return at <= present ? say("advice.dueNow") : ago(at, present)
}

/** When later is best. */
export function laterText({ costs }: Recommendation, present = now()): string {
  const at = parse(costs?.later_at)
  return at === null ? say("advice.putOff") : say("advice.laterAt", { time: ago(at, present) })
}

/** What was decided, with who, until when or what was found. */
export function decisionText({ decision }: Recommendation): string {
  if (!decision) return say("advice.decisions.open")
  const until = parse(decision.until)
  if (decision.state === "accepted") return say("advice.acceptedBy", { name: decision.by })
  if (decision.state === "dismissed" && until !== null)
    return say("advice.dismissedUntil", { time: moment(until) })
  if (decision.outcome) return say("advice.doneWith", { outcome: say(`advice.outcomes.${decision.outcome}`) })
  return say(`advice.decisions.${decision.state}`)
}

function hours(n: number): string {
  return span(n * HOUR_MS)
}
