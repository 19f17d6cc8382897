import { afterEach, expect, test } from "vitest"
import { age, ago, clock, day, exact, parse, setSkew, setZone, span, zoneShort } from "./times"

const AT = Date.parse("2026-01-15T13:32:07Z")
const plain = (text: string) => text.replaceAll("\u202f", " ")

afterEach(() => {
  setZone(undefined)
  setSkew(0)
})

test.each([
  [200, "0.2 s"],
  [42_000, "42 s"],
  [13 * 60_000, "13 min"],
  [5 * 3_600_000, "5 h"],
  [24 * 3_600_000, "24 h"],
  [3 * 86_400_000, "3 d"],
  [3.2 * 365.25 * 86_400_000, "3.2 y"],
])("span %i", (ms, text) => expect(plain(span(ms))).toBe(text))

test("an age counts whole seconds; what is to come says so", () => {
  expect(plain(age(AT, AT + 1999))).toBe("1 s")
  expect(plain(age(AT + 300, AT))).toBe("0 s")
  expect(plain(ago(AT, AT + 120_000))).toBe("2 min ago".replace("2 min", "2 min"))
  expect(plain(ago(AT + 3_600_000, AT))).toBe("in 60 min")
})

test("exact times carry their date and zone", () => {
  setZone("Europe/Oslo")
  expect(exact(AT)).toBe("2026-01-15 14:32:07 CET")
  setZone("UTC")
  expect(clock(AT)).toBe("13:32:07")
  expect(day(AT)).toBe("2026-01-15")
  expect(zoneShort(AT)).toBe("UTC")
})

test("an unreadable time is unknown, not now", () => {
  expect(parse("yesterday")).toBeNull()
  expect(parse(null)).toBeNull()
  expect(parse("2026-01-15T13:32:07Z")).toBe(AT)
})
