/** An event in plain words, by whom and why. */
import type { EventItem, TypeInfo } from "@/api/schema"
import { count, quantity } from "@/words/figures"
import { say, sayOf } from "@/words/say"
import { span } from "@/words/times"
import { channelTitle } from "./channelTitle"

/** What happened; an event not known yet is named by its type. `rule` is the title of the rule that it is about. */
export function eventText(
  { type: kind, detail }: EventItem,
  rule: string | null | undefined,
  type?: TypeInfo,
): string {
  const facts = {
    ...Object.fromEntries(Object.entries(detail).map(([key, value]) => [key, plain(value)])),
    rule: rule || plain(detail.rule),
    channel: detail.channel ? channelTitle(type, String(detail.channel)) : "",
    pattern: sayOf("patterns", String(detail.pattern), plain(detail.pattern)),
    silent_s: typeof detail.silent_s === "number" ? span(detail.silent_s * 1000) : "",
    kind: sayOf("maintenance.kinds", String(detail.kind), plain(detail.kind)),
    readings: typeof detail.readings === "number" ? count(detail.readings) : "",
  }
  const text = sayOf("events", kind, kind, facts)
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** Why somebody did it, or what they said. */
export function reasonOf({ detail }: EventItem): string {
  return [detail.reason, detail.note].map(plain).filter(Boolean).join("; ")
}

/** By whom and why, in one piece. */
export function byWhom(event: EventItem): string {
  const { by } = event.detail
  return [by ? say("alerts.by", { name: plain(by) }) : "", reasonOf(event)].filter(Boolean).join(": ")
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return ""
  return typeof value === "number" ? quantity(value) : String(value)
}
