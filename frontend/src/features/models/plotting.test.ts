import { expect, test } from "vitest"
import { bandPath, fallingPath, mostOf, path, radii, ticksUpTo } from "./plotting"

test("ticks are round, about five, and none lies beyond the end", () => {
  expect(ticksUpTo(1)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1])
  expect(ticksUpTo(720)).toEqual([0, 200, 400, 600])
  expect(ticksUpTo(0.3)).toEqual([0, 0.1, 0.2, 0.3])
  expect(ticksUpTo(50)).toEqual([0, 10, 20, 30, 40, 50])
})

test("both axes end where all points and their bands have room", () => {
  expect(mostOf([{ across: 10, up: 30, low: 5, high: 80 }])).toBe(80)
  expect(mostOf([])).toBe(1)
})

test("a point is as large as what it stands for, and never too small to be seen", () => {
  const of = (count: number) => ({ across: 0, up: 0, count })
  expect(radii([of(400), of(100), of(1)])).toEqual([4, 2, 1.5])
  expect(radii([{ across: 0, up: 0 }])).toEqual([4])
})

test("a line goes through its points in their order", () => {
  expect(
    path([
      [0, 10.04],
      [5, 2],
    ]),
  ).toBe("M0 10L5 2")
})

test("a curve that falls holds each value up to its place, and ends at the bottom", () => {
  const places = [
    [0, 10],
    [5, 10],
    [8, 40],
  ] as const
  expect(fallingPath(places, 90)).toBe("M0 10L0 10L5 10L5 40L8 40L8 90")
  expect(fallingPath([], 90)).toBe("")
})

test("a band goes along its highs and back along its lows, where there are any", () => {
  const at = (across: number, up: number) => [across, up] as const
  const points = [
    { across: 1, up: 2, low: 1, high: 3 },
    { across: 2, up: 2, low: 0, high: 4 },
  ]
  expect(bandPath(points, at)).toBe("M1 3L2 4L2 0L1 1Z")
  expect(bandPath([{ across: 1, up: 2 }], at)).toBe("")
})
