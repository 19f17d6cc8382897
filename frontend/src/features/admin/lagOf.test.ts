import { expect, test } from "vitest"
import { lagOf } from "./lagOf"

test("history is behind by what it does not hold yet, and never ahead", () => {
  expect(lagOf({ cursor: 120, archived: 100 })).toEqual({ entries: 20, isLong: false })
  expect(lagOf({ cursor: 20_120, archived: 100 })).toEqual({ entries: 20_020, isLong: true })
  expect(lagOf({ cursor: 90, archived: 100 })).toEqual({ entries: 0, isLong: false })
})

test("what is not known is not guessed", () => {
  expect(lagOf({ cursor: null, archived: 100 })).toBeNull()
  expect(lagOf({ cursor: 100, archived: null })).toBeNull()
})
