import { expect, test } from "vitest"
import type { AlertItem, EventItem } from "@/api/schema"
import { momentsOf, stretchesOf, together } from "./useCharts"

function event(type: string, at: string, detail: Record<string, unknown>): EventItem {
  return { type, at, recorded_at: at, detail }
}

const [T1, T2] = ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"]

test("an alert that stands and its event are one mark", () => {
  const alert = { rule: "dry", since: T1, priority: "critical" } as AlertItem
  expect(momentsOf([event("alert.raised", T1, { rule: "dry" })], [alert], undefined)).toEqual([
    { at: Date.parse(T1), priority: "critical" },
  ])
})

test("a pattern is a stretch from its start to its end; one that lasts goes on", () => {
  const events = [
    event("pattern.ended", T2, { channel: "flow", pattern: "drift" }),
    event("pattern.started", T1, { channel: "flow", pattern: "drift" }),
    event("pattern.started", T1, { channel: "speed", pattern: "stuck" }),
  ]
  const found = stretchesOf(events, [{ pattern: "stuck", channel: "speed" }])
  expect(found.get("flow")).toEqual([{ start: Date.parse(T1), end: Date.parse(T2) }])
  expect(found.get("speed")).toEqual([{ start: Date.parse(T1), end: Number.POSITIVE_INFINITY }])
})

test("a pattern whose start is further back comes from the left", () => {
  const found = stretchesOf([event("pattern.ended", T2, { channel: "flow", pattern: "drift" })], [])
  expect(found.get("flow")).toEqual([{ start: Number.NEGATIVE_INFINITY, end: Date.parse(T2) }])
})

test("an event that is among the newest and in the range is one", () => {
  const started = event("pattern.started", T1, { channel: "flow", pattern: "drift" })
  const other = event("pattern.started", T1, { channel: "speed", pattern: "drift" })
  expect(together([started, other], [{ ...started }])).toHaveLength(2)
})
