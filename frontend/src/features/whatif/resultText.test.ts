import { expect, test } from "vitest"
import type { ArmResult, MetricResult, PairedDifference } from "@/api/whatif"
import "./words"
import {
  betterText,
  decimalsFor,
  differenceHelp,
  differenceText,
  estimateText,
  isTold,
  leftMs,
  probability,
  scaleOf,
  scaleOfResult,
  unitNote,
  valueText,
} from "./resultText"

const DIFFERENCE: PairedDifference = {
  value: -12_300,
  low: -15_100,
  high: -9_400,
  n: 100,
  correlation: 0.8,
  variance_ratio: 0.2,
  share_better: 0.97,
  share_better_low: 0.91,
  share_better_high: 0.99,
  p_mean_better: 0.9999,
}
function resultOf(metric: string, unit: string, arm: ArmResult): MetricResult {
  return { metric, unit, better: "lower", arms: [arm] }
}
const ARM = { arm: "a", value: 212_000, low: 210_900, high: 213_100, n: 20, undefined: 0, difference: null }

test("a difference is told with its interval, and in how many futures it was better", () => {
  const scale = scaleOfResult(resultOf("cost", "EUR", { ...ARM, difference: DIFFERENCE }))
  expect(valueText(ARM, scale)).toEqual({ value: "212.0\u202fk€", interval: "[210.9, 213.1]" })
  expect(differenceText(DIFFERENCE, scale)).toEqual({ value: "−12.3\u202fk€", interval: "[−15.1, −9.4]" })
  expect(betterText(DIFFERENCE)).toBe("better in 97 of 100 futures")
  expect(differenceHelp(DIFFERENCE)).toBe(
    "Better on average with probability >\u202f0.99. Better in 91\u202f% to 99\u202f% of all futures. Pairing is worth 5 times as many futures.",
  )
})

test("an interval that holds zero tells no difference, nor does one without ends", () => {
  expect(isTold(DIFFERENCE)).toBe(true)
  expect(isTold({ ...DIFFERENCE, high: 1 })).toBe(false)
  expect(isTold({ ...DIFFERENCE, low: 0, high: 0 })).toBe(false)
  expect(isTold({ ...DIFFERENCE, low: null })).toBe(false)
})

test("what is not known is not made up", () => {
  const arm = { ...ARM, value: 4, low: null, high: null }
  expect(valueText(arm, scaleOfResult(resultOf("failures", "1", arm)))).toEqual({
    value: "4.00",
    interval: "[−∞, ∞]",
  })
  expect(betterText({ ...DIFFERENCE, share_better: null })).toBe("")
})

test("shares are percent, and differ by points", () => {
  expect(scaleOf("availability", "1", [0.987])).toEqual({ factor: 100, unit: "%", ofChange: "pp" })
  const difference = { ...DIFFERENCE, value: 0.002, low: 0.001, high: 0.003 }
  const scale = scaleOfResult(resultOf("availability", "1", { ...ARM, difference }))
  expect(differenceText(difference, scale).value).toBe("+0.20\u202fpp")
})

test("every metric has a unit, also where the fleet's currency has no name", () => {
  expect(unitNote("failures", scaleOf("failures", "", [3]))).toBe("number")
  expect(unitNote("cost", scaleOf("cost", "", [30_000]))).toBe("k in the fleet’s currency")
  expect(unitNote("downtime_h", scaleOf("downtime_h", "h", [30_000]))).toBe("h")
})

test("digits follow the interval", () => {
  expect([0.014, 0.05, 0.9, 2.85, 11, 1200].map(decimalsFor)).toEqual([3, 2, 1, 1, 0, 0])
})

test("nothing is certain", () => {
  expect([1, 0.5, 0].map(probability)).toEqual([">\u202f0.99", "0.50", "<\u202f0.01"])
})

test("what it would cost is one line", () => {
  const estimate = {
    devices: { pump: 9_000, fan: 1_000 },
    arms: 2,
    replications: 20,
    device_steps: 1,
    seconds: 95,
    memory_mb: 1200,
    disk_mb: 40,
  }
  expect(estimateText(estimate)).toBe(
    "2 arms × 20 replications × 10,000 devices: about 95\u202fs, 1.2\u202fGB of memory, 40\u202fMB on disk",
  )
})

test("how long it still takes is told once it has begun", () => {
  expect(leftMs(0.5, 0, 30_000)).toBe(30_000)
  expect(leftMs(0, 0, 30_000)).toBeNull()
  expect(leftMs(null, 0, 30_000)).toBeNull()
})
