/** An alert in a few words: what it is, and the value that raised it; and why something was not done to it. */
import type { Refusal } from "@/api/commands"
import type { AlertItem } from "@/api/schema"
import { say, sayOf } from "@/words/say"
import { clock, parse } from "@/words/times"
import { measured } from "@/words/units"

export function alertText({ title, rule, value, unit }: AlertItem): string {
  const name = title || rule
  return value === null ? name : `${name}: ${measured(value, unit, 3)}`
}

/** Who was first, with what and when, where that is known; else what the API says. */
export function refusalText({ alert, reason, before }: Refusal): string {
  if (!before) return reason
  return say("alerts.beaten", {
    by: String(before.detail.by),
    what: sayOf("events", before.type, before.type, { rule: alert.title || alert.rule }),
    device: alert.device_id,
    time: clock(parse(before.at) ?? 0),
  })
}
