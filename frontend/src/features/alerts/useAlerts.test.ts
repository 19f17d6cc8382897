import { expect, test } from "vitest"
import { matchOf, narrowingOf } from "./useAlerts"

test("all that match leave out what was raised after they were counted", () => {
  const at = Date.parse("2026-03-01T12:00:00Z")
  expect(matchOf({ priority: "high", site: "oslo", rule: "it's hot" }, at)).toEqual({
    state: ["UNACK", "RTN_UNACK", "LATCHED_UNACK"],
    priority: ["high"],
    device: [],
    type: [],
    site: ["oslo"],
    filter: "since <= '2026-03-01T12:00:00.000Z' and rule = 'it''s hot'",
  })
})

test("a group of the address is no condition", () => {
  expect(narrowingOf({ group: "rule", tab: "active" })).toEqual({})
})
