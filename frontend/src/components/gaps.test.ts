import { expect, test } from "vitest"
import { withGaps } from "./gaps"

test("breaks the line where readings are further apart than they should be", () => {
  const time = [0, 1, 2, 10, 11]
  expect(withGaps({ time, value: [5, 6, 7, 8, 9] }, 3)).toMatchObject({
    time: [0, 1, 2, 6, 10, 11],
    value: [5, 6, 7, null, 8, 9],
  })
  expect(withGaps({ time, min: [5, 6, 7, 8, 9], max: [5, 6, 7, 8, 9] }, 3).max).toEqual([5, 6, 7, null, 8, 9])
})

test("leaves a steady series alone", () => {
  const time = [0, 1, 2]
  expect(withGaps({ time, value: [1, 2, 3] }, 3).time).toBe(time)
  expect(withGaps({ time: [], value: [] }, 3).time).toEqual([])
})
