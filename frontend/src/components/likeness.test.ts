import { expect, test } from "vitest"
import { likeness } from "./likeness"

test("a small share is told, one that is ordinary is not, and what is not known is nothing", () => {
  expect(likeness(0.004)).toBe("0.4\u202f%")
  expect(likeness(0.2)).toBe("20\u202f%")
  expect(likeness(0.71)).toBe("over 20\u202f%")
  expect(likeness(null)).toBe("")
})
