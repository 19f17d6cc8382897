import { expect, test } from "vitest"
import { CALM_MS, listener } from "./sounding"

const BOTH = { sounds: ["critical", "high"], muted: false }

test("only the priorities that were chosen are heard, and none while muted", () => {
  const heard = listener()
  expect(heard("low", BOTH, 0)).toBe(false)
  expect(heard("high", { ...BOTH, muted: true }, 0)).toBe(false)
  expect(heard("high", BOTH, 0)).toBe(true)
})

test("a flood is heard once, but what is more urgent breaks through", () => {
  const heard = listener()
  expect(heard("high", BOTH, 0)).toBe(true)
  expect(heard("high", BOTH, 100)).toBe(false)
  expect(heard("critical", BOTH, 200)).toBe(true)
  expect(heard("high", BOTH, 300)).toBe(false)
  expect(heard("high", BOTH, 200 + CALM_MS)).toBe(true)
})
