/**
 * Times as people read them: how long ago, and exactly, in the reader's zone.
 *
 * `now()` is the server's: a screen whose computer runs ten minutes fast must not call fresh data old.
 */
import { count } from "./figures"
import { say } from "./say"

const GAP = "\u202f"
const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

let skewMs = 0
let zone: string | undefined

/** Epoch milliseconds on the server's clock, as well as it is known. */
export function now(): number {
  return Date.now() - skewMs
}

/** Say by how much this computer's clock runs ahead of the server's. */
export function setSkew(ms: number): void {
  skewMs = ms
}

/** Show times in this zone from now on; undefined: the computer's own. */
export function setZone(name: string | undefined): void {
  zone = name
}

/** The name of the zone in force, as in "Europe/Oslo". */
export function zoneName(): string {
  return zone ?? new Intl.DateTimeFormat().resolvedOptions().timeZone
}

/** Epoch ms of an ISO time; null for none or an unreadable one. */
export function parse(iso: string | null | undefined): number | null {
  if (!iso) return null
  const at = Date.parse(iso)
  return Number.isNaN(at) ? null : at
}

/** A span in its largest sensible unit: 0.2 s, 42 s, 13 min, 5 h, 3 d. */
export function span(ms: number): string {
  const size = Math.abs(ms)
  if (size < 9950) return written(Math.round(size / 100) / 10, "s")
  if (size < 99.5 * SECOND) return written(Math.round(size / SECOND), "s")
  if (size < 99.5 * MINUTE) return written(Math.round(size / MINUTE), "min")
  if (size < 47.5 * HOUR) return written(Math.round(size / HOUR), "h")
  if (size < 729.5 * DAY) return written(Math.round(size / DAY), "d")
  return written(Math.round((size / DAY / 365.25) * 10) / 10, "y")
}

/** How long ago, to whole seconds, so that a ticking age does not flicker. */
export function age(at: number, from = now()): string {
  const passed = from - at
  if (passed < -1.5 * SECOND) return span(Math.round(passed / SECOND) * SECOND)
  return span(Math.max(0, Math.floor(passed / SECOND)) * SECOND)
}

/** "13 min ago", or "in 5 min" of what is to come. */
export function ago(at: number, from = now()): string {
  if (from - at < -1.5 * SECOND) return say("figures.future", { age: age(at, from) })
  return say("figures.ago", { age: age(at, from) })
}

/** The exact time with its date and zone: 2026-03-01 14:32:07 CET. */
export function exact(at: number): string {
  return `${day(at)} ${clock(at)} ${zoneShort(at)}`
}

/** 14:32:07. */
export function clock(at: number, seconds = true): string {
  const options: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }
  return format(seconds ? { ...options, second: "2-digit" } : options).format(at)
}

/** 2026-03-01, as the language in force writes it. */
export function day(at: number): string {
  return say("figures.date", dateParts(at))
}

/** 03-01, as the language in force writes it. */
export function dayOfYear(at: number): string {
  return say("figures.dayOfYear", dateParts(at))
}

/** 14:32 today, else with the date. */
export function moment(at: number): string {
  return day(at) === day(now()) ? clock(at, false) : `${day(at)} ${clock(at, false)}`
}

/** The zone's short name at a time: CET, UTC, GMT+5:30. */
export function zoneShort(at: number): string {
  const parts = format({ timeZoneName: "short", hour: "2-digit" }).formatToParts(at)
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? zoneName()
}

function dateParts(at: number): Readonly<Record<string, string>> {
  const parts = format({ year: "numeric", month: "2-digit", day: "2-digit" }).formatToParts(at)
  return Object.fromEntries(parts.map(({ type, value }) => [type, value]))
}

/** A number with its unit of time. */
function written(n: number, unit: "s" | "min" | "h" | "d" | "y"): string {
  return `${count(n, 1)}${GAP}${say(`figures.units.${unit}`)}`
}

const formats = new Map<string, Intl.DateTimeFormat>()

function format(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${zone}${JSON.stringify(options)}`
  let known = formats.get(key)
  if (!known) {
    // British English knows the short names of European zones; digits and order are the same everywhere here.
    known = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone })
    formats.set(key, known)
  }
  return known
}
