import { afterAll, beforeAll, expect, test } from "vitest"
import type { Recommendation } from "@/api/schema"
import { speakAs } from "@/words/languages"
import { setZone } from "@/words/times"
import {
  amount,
  decisionText,
  dueText,
  effortText,
  laterText,
  modeText,
  reasonText,
  signFacts,
} from "./adviceText"

const NOW = Date.UTC(2026, 0, 31, 12)
const SIGN = {
  kind: "prognosis",
  failure_mode: "wear",
  share: null,
  p_fail_24h: 0.04,
  p_fail_7d: 0.38,
  p_fail_30d: 0.87,
  rul_p05_h: 40,
  rul_p50_h: 310,
  rul_p95_h: 900,
  model_version: 4,
  predicted_at: null,
} as const
const ITEM = {
  title: "Bearing wear",
  failure_mode: "wear",
  costs: { nothing: 9, later: 8, now: 7, later_at: "2026-02-01T12:00:00Z", horizon_days: 30 },
  decision: null,
} as unknown as Recommendation

function decided(decision: object): Recommendation {
  return { ...ITEM, decision } as Recommendation
}

beforeAll(() => {
  speakAs("en")
  setZone("UTC")
})
afterAll(() => setZone(undefined))

test("amounts are whole and grouped; what is not known is a dash", () => {
  expect(amount(25969.5)).toBe("25,970")
  expect(amount(null)).toBe("–")
})

test("a recommendation is named by its failure mode", () => {
  expect(modeText(ITEM)).toBe("Bearing wear")
  expect(modeText({ ...ITEM, title: null })).toBe("wear")
  expect(modeText({ ...ITEM, title: null, failure_mode: null })).toBe("No known failure mode explains it")
})

test("a forecast is a reason, with its interval and the model", () => {
  expect(reasonText(SIGN, undefined)).toBe("fails within 7 d with 38\u202f%")
  const facts = signFacts(SIGN)
  expect(facts).toContain("24 h with 4\u202f%")
  expect(facts).toContain("lasts 13\u202fd more, 40\u202fh to 38\u202fd")
  expect(facts).toContain("model version 4")
  expect(signFacts({ ...SIGN, rul_p50_h: null, model_version: null })).not.toContain("lasts")
})

test("due is a time to come, now, or nothing", () => {
  expect(dueText(null, NOW)).toBe("–")
  expect(dueText("2026-01-31T11:00:00Z", NOW)).toBe("now")
  expect(dueText("2026-02-03T12:00:00Z", NOW)).toBe("in 3\u202fd")
  expect(laterText(ITEM, NOW)).toBe("best in 24\u202fh")
  expect(laterText({ ...ITEM, costs: null }, NOW)).toBe("best put off")
})

test("a decision says by whom, until when, or what was found", () => {
  expect(decisionText(ITEM)).toBe("open")
  expect(decisionText(decided({ state: "accepted", by: "kari" }))).toBe("accepted by kari")
  expect(decisionText(decided({ state: "dismissed", by: "kari" }))).toBe("dismissed")
  expect(decisionText(decided({ state: "dismissed", until: "2026-02-03T12:00:00Z" }))).toMatch(
    /^dismissed until /,
  )
  expect(decisionText(decided({ state: "done", outcome: "no_fault_found" }))).toBe("done: no fault found")
})

test("effort is hours, people and spares", () => {
  const action = { duration_h: 6, crew: 2, spares: { "bearing-set": 1 } } as unknown as Parameters<
    typeof effortText
  >[0]
  expect(effortText(action)).toBe("6\u202fh · 2 people · 1 × bearing-set")
})
