import { expect, test } from "vitest"
import { axisRange } from "./seriesDrawing"

test("the axis has room for the band where the readings are far off it", () => {
  const [least, greatest] = axisRange(9, 10, { low: 1, high: 3 })
  expect(least).toBeLessThan(1)
  expect(greatest).toBeGreaterThan(10)
})

test("a band wider than the readings is seen whole", () => {
  const [least, greatest] = axisRange(4.9, 5.1, { low: 4, high: 6 })
  expect(least).toBeLessThan(4)
  expect(greatest).toBeGreaterThan(6)
})

test("with nothing to show there still is an axis", () => {
  expect(axisRange(null, null, null)).toEqual([0, 1])
  expect(axisRange(5, 5, null)).toEqual([4.75, 5.25])
})
