import { expect, test } from "vitest"
import { bytes, change, count, fixed, health, quantity, share, short, unitText } from "./figures"

const plain = (text: string) => text.replaceAll("\u202f", " ")

test.each([
  [998212, "998,212"],
  [0, "0"],
  [-3, "−3"],
  [null, "–"],
  [Number.NaN, "–"],
])("count %s", (n, text) => expect(count(n)).toBe(text))

test.each([
  [1_000_000, "1.00 M"],
  [999_499, "999 k"],
  [12_400, "12.4 k"],
  [980, "980"],
  [2.7449, "2.74"],
  [null, "–"],
])("short %s", (n, text) => expect(plain(short(n))).toBe(text))

test.each([
  [7.3111, "mm/s", "7.311 mm/s"],
  [1480.4, "{rpm}", "1,480 rpm"],
  [-0.5, "Cel", "−0.5 °C"],
  [0, "m3/h", "0 m³/h"],
  [0.00002, "A", "2.00·10^−5 A"],
  [5, "1", "5"],
  [null, "A", "–"],
])("quantity %s %s", (n, unit, text) => expect(plain(quantity(n, unit))).toBe(text))

test("health never rounds up over a limit", () => {
  expect(health(49.9)).toBe("49")
  expect(health(50)).toBe("50")
  expect(health(null)).toBe("–")
})

test.each([
  [0.0011, "0.11 %"],
  [0.051, "5.1 %"],
  [0.5, "50 %"],
  [0, "0 %"],
])("share %s", (n, text) => expect(plain(share(n))).toBe(text))

test.each([
  [-5.2, 0, "−5"],
  [3, 0, "+3"],
  [0.2, 0, "±0"],
  [-46.04, 1, "−46"],
  [-0.12, 1, "−0.1"],
])("change %s", (n, decimals, text) => expect(change(n, decimals)).toBe(text))

test("fixed keeps its decimals", () => expect(fixed(2, 2)).toBe("2.00"))
test("a unit without a better form stays its code", () => expect(unitText("kPa")).toBe("kPa"))

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [12_400_000, "12.4 MB"],
  [3e15, "3 PB"],
  [null, "–"],
])("%s bytes are written %s", (n, text) => {
  expect(plain(bytes(n))).toBe(text)
})
