import { expect, test } from "vitest"
import type { ArmFan } from "@/api/whatif"
import { TOKENS } from "@/components/tokens"
import { apart, columnsOf, endsOf, hoursText, inOrder, lookOf, middles, together } from "./courses"

const FAN: ArmFan = {
  arm: "earlier",
  median: [2, 3],
  ranges: [0.5, 0.8, 0.95],
  low: [
    [1.5, 2.5],
    [1, 2],
    [0.5, 1],
  ],
  high: [
    [2.5, 3.5],
    [3, 4],
    [4, 6],
  ],
  paths: [[2, null]],
}

test("an arm by itself has its ranges behind its median, and single futures where they are wanted", () => {
  const { lines, bands } = apart(FAN, TOKENS.light, false)
  expect(bands).toHaveLength(3)
  expect(lines.map(({ values }) => values)).toEqual([[2, 3]])
  expect(apart(FAN, TOKENS.light, true).lines).toHaveLength(2)
})

test("together each arm has its own look and one range, the reference first", () => {
  const fans = inOrder([FAN, { ...FAN, arm: "as-is" }], "as-is")
  expect(fans.map(({ arm }) => arm)).toEqual(["as-is", "earlier"])
  const { lines, bands } = together(fans, TOKENS.light, false)
  expect(bands.map(({ low }) => low)).toEqual([
    [1, 2],
    [1, 2],
  ])
  expect(new Set(lines.map(({ colour, dash }) => `${colour} ${dash}`)).size).toBe(2)
})

test("no two of six arms look alike", () => {
  const looks = [0, 1, 2, 3, 4, 5].map((place) => JSON.stringify(lookOf(place, TOKENS.dark)))
  expect(new Set(looks).size).toBe(6)
})

test("everything has room on the axis, which begins at zero where that is near", () => {
  expect(endsOf(columnsOf(FAN, false))).toEqual([0, 6 + 5.5 * 0.06])
  expect(endsOf([[98, 99]])).toEqual([98 - 0.06, 99 + 0.06])
  expect(endsOf([[null]])).toEqual([0, 1])
})

test("a stretch of time is drawn at its middle", () => {
  expect(middles({ start_h: [0, 24], bucket_h: 24 })).toEqual([12, 36])
  expect([0, 12, 168].map(hoursText)).toEqual(["0", "12\u202fh", "7\u202fd"])
})
