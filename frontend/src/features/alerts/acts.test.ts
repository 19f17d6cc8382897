import { expect, test } from "vitest"
import type { AlertItem, Priority } from "@/api/schema"
import { asksFirst, needsNote, offered } from "./acts"

const alert = (state: string, priority: Priority = "low") => ({ state, priority }) as AlertItem

test("what is offered fits every one of the alerts", () => {
  expect(offered([alert("UNACK"), alert("RTN_UNACK")])).toContain("acknowledge")
  expect(offered([alert("UNACK"), alert("ACKED")])).not.toContain("acknowledge")
  expect(offered([alert("SHELVED")])).toEqual(["comment", "assign", "shelve", "unshelve"])
  expect(offered([alert("OUT_OF_SERVICE"), alert("UNACK")])).toEqual(["comment", "assign"])
  expect(offered([])).toEqual([])
})

test("a critical alert is acknowledged with one key, several at once say why", () => {
  expect(asksFirst("acknowledge", [alert("UNACK", "critical")])).toBe(false)
  expect(needsNote("acknowledge", [alert("UNACK", "critical"), alert("UNACK")])).toBe(true)
  expect(needsNote("acknowledge", [alert("UNACK", "high"), alert("UNACK")])).toBe(false)
})

test("what hides an urgent alert says why, what hides a low one may", () => {
  expect(needsNote("suppress", [alert("UNACK", "high")])).toBe(true)
  expect(needsNote("suppress", [alert("UNACK", "medium")])).toBe(false)
  expect(asksFirst("suppress", [alert("UNACK", "medium")])).toBe(true)
  expect(needsNote("shelve", [alert("UNACK", "low")])).toBe(true)
})
