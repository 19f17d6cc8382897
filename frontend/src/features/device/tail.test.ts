import { expect, test } from "vitest"
import { grown, MOST, withTail } from "./tail"

const SERIES = { time: [1000, 2000], value: [1, 2] }

test("what is told once more is there once, and later points come behind", () => {
  const once = grown({}, { flow: { at: 1000, value: 5 }, speed: { at: null, value: 3 } })
  expect(once).toEqual({ flow: { time: [1000], value: [5] } })
  expect(grown(once, { flow: { at: 1000, value: 6 } })).toBe(once)
  expect(grown(once, { flow: { at: 2000, value: 6 } }).flow).toEqual({ time: [1000, 2000], value: [5, 6] })
})

test("a tail is bounded: the oldest points go", () => {
  let tail = {}
  for (let at = 1; at <= MOST + 5; at++) tail = grown(tail, { flow: { at, value: at } })
  expect(tail).toMatchObject({ flow: { time: { length: MOST, 0: 6 } } })
})

test("a series goes on with what is later than it", () => {
  const points = { time: [2000, 3000, 4000], value: [9, 3, 4] }
  expect(withTail(SERIES, points, 5000)).toEqual({ time: [1000, 2000, 3000, 4000], value: [1, 2, 3, 4] })
})

test("a series of least and greatest goes on in both", () => {
  const series = { time: [1000], min: [1], max: [2] }
  const points = { time: [2000], value: [7] }
  expect(withTail(series, points, 5000)).toEqual({ time: [1000, 2000], min: [1, 7], max: [2, 7] })
})

test("it breaks where readings are missing, and only there", () => {
  const points = { time: [60_000, 61_000], value: [3, 4] }
  expect(withTail(SERIES, points, 5000).value).toEqual([1, 2, null, 3, 4])
  expect(withTail({ time: [], value: [] }, points, 5000).value).toEqual([3, 4])
})

test("without later points it is the same series", () => {
  expect(withTail(SERIES, { time: [2000], value: [9] }, 5000)).toBe(SERIES)
  expect(withTail(SERIES, undefined, 5000)).toBe(SERIES)
})
