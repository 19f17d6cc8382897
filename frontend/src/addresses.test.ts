import { expect, test } from "vitest"
import {
  adviceSearch,
  alertKpiSearch,
  alertSearch,
  deviceSearch,
  journalSearch,
  modelSearch,
} from "./addresses"

test("what an address may not hold is left out", () => {
  expect(alertSearch({ tab: "nowhere", group: "moon", rule: "hot" })).toEqual({ rule: "hot" })
  expect(adviceSearch({ decision: "done", confidence: "sure", sort: "due", shown: "p:wear" })).toEqual({
    decision: "done",
    sort: "due",
    shown: "p:wear",
  })
  expect(alertKpiSearch({ hours: "168", filter: "" })).toEqual({ hours: 168 })
  expect(alertKpiSearch({ hours: 5 })).toEqual({})
  expect(journalSearch({ range: "7d", priority: "loud" })).toEqual({ range: "7d" })
  expect(modelSearch({ horizon: "168" })).toEqual({ horizon: 168 })
  expect(modelSearch({ horizon: "soon", report: "promotion-7" })).toEqual({ report: "promotion-7" })
})

test("a stretch of time has both its ends, the right way round", () => {
  expect(deviceSearch({ start: 1, end: 2, range: "7d" })).toEqual({ start: 1, end: 2 })
  expect(deviceSearch({ start: 2, end: 1, range: "7d" })).toEqual({ range: "7d" })
  expect(journalSearch({ start: 5 })).toEqual({})
  expect(journalSearch({ start: 5, end: 9 })).toEqual({ start: 5, end: 9 })
})
