import { expect, test } from "vitest"
import type { AlertItem, NotesNeeded, Priority } from "@/api/schema"
import { asksFirst, needsNote, offered } from "./acts"

const alert = (state: string, priority: Priority = "low") => ({ state, priority }) as AlertItem

test("what is offered fits every one of the alerts", () => {
  expect(offered([alert("UNACK"), alert("RTN_UNACK")])).toContain("acknowledge")
  expect(offered([alert("UNACK"), alert("ACKED")])).not.toContain("acknowledge")
  expect(offered([alert("SHELVED")])).toEqual(["comment", "assign", "shelve", "unshelve"])
  expect(offered([alert("OUT_OF_SERVICE"), alert("UNACK")])).toEqual(["comment", "assign"])
  expect(offered([])).toEqual([])
})

const needed: NotesNeeded = { acknowledge: [], reset: ["critical"], shelve: ["high"], suppress: ["high"] }

test("a critical alert is acknowledged with one key, several at once say why", () => {
  expect(asksFirst("acknowledge", [alert("UNACK", "critical")], needed)).toBe(false)
  expect(needsNote("acknowledge", [alert("UNACK", "critical"), alert("UNACK")], needed)).toBe(true)
  expect(needsNote("acknowledge", [alert("UNACK", "high"), alert("UNACK")], needed)).toBe(false)
})

test("where the platform wants a note of a priority, it is asked for before anything is sent", () => {
  const strict = { ...needed, acknowledge: ["critical", "high"] } satisfies NotesNeeded
  expect(asksFirst("acknowledge", [alert("UNACK", "high")], strict)).toBe(true)
  expect(asksFirst("acknowledge", [alert("UNACK", "low")], strict)).toBe(false)
  expect(needsNote("reset", [alert("LATCHED_ACKED", "critical")], needed)).toBe(true)
  expect(needsNote("reset", [alert("LATCHED_ACKED", "high")], needed)).toBe(false)
})

test("what hides an alert is asked about, and must say why at the platform's priorities", () => {
  for (const command of ["shelve", "suppress", "remove-from-service"] as const) {
    expect(needsNote(command, [alert("UNACK", "low"), alert("UNACK", "high")], needed)).toBe(true)
    expect(needsNote(command, [alert("UNACK", "medium")], needed)).toBe(false)
    expect(asksFirst(command, [alert("UNACK", "medium")], needed)).toBe(true)
  }
})

test("before it is known what the platform wants, the platform refuses what it must", () => {
  expect(needsNote("shelve", [alert("UNACK", "high")], undefined)).toBe(false)
  expect(needsNote("comment", [alert("UNACK")], undefined)).toBe(true)
})
