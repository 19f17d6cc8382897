import { expect, test } from "vitest"
import { whatCosts } from "./HealthCard"

function cost(channel: string, points: number) {
  return { channel, indicator: "shift", points }
}

test("what is shown adds up to the score, dearest first", () => {
  const breakdown = [1, 30, 2, 3, 4, 5, 6, 7].map((points, i) => cost(`c${i}`, points))
  const rows = whatCosts({ breakdown, health: 42 })
  expect(rows[0]?.points).toBe(30)
  expect(rows.reduce((sum, { points }) => sum + points, 0)).toBeCloseTo(58)
  expect(rows.at(-1)).toEqual({ channel: "", indicator: "", points: expect.closeTo(3) })
})

test("nothing costs where the score is full or unknown", () => {
  expect(whatCosts({ breakdown: [], health: 100 })).toEqual([])
  expect(whatCosts({ breakdown: [cost("a", 3)], health: null })).toEqual([])
})
