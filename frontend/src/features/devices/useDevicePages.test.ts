import { expect, test } from "vitest"
import type { DeviceItem, DevicePage } from "@/api/schema"
import { rowIn } from "./RowJump"
import { pagesOf, rowsOf } from "./useDevicePages"

function page(first: number, items: number, more: Partial<DevicePage> = {}): DevicePage {
  const rows = Array.from({ length: items }, (_, i) => ({ id: `d${first + i}` }) as DeviceItem)
  return {
    items: rows,
    total: 1000,
    as_of: "2026-01-01T00:00:00Z",
    next: "n",
    previous: null,
    cursor: "c",
    ...more,
  }
}

test("what is in view is read, and the first page is always", () => {
  expect(pagesOf(-20, 40, 1000)).toEqual([])
  expect(pagesOf(60, 120, 1000)).toEqual([1])
  expect(pagesOf(180, 230, 1000)).toEqual([1, 2])
  expect(pagesOf(899_980, 900_040, 1_000_000)).toEqual([8999, 9000])
  expect(pagesOf(980, 1040, 1000)).toEqual([9])
  expect(pagesOf(0, 40, 0)).toEqual([])
})

test("rows are found by their place; those not read are unknown", () => {
  const rows = rowsOf(
    new Map([
      [0, page(0, 100)],
      [9, page(900, 100, { next: null })],
    ]),
  )
  expect(rows.length).toBe(1000)
  expect(rows.at(99)?.id).toBe("d99")
  expect(rows.at(100)).toBeUndefined()
  expect(rows.at(999)?.id).toBe("d999")
})

test("a list is as long as its newest page says, and ends where nothing follows", () => {
  const later = { as_of: "2026-01-01T00:00:05Z" }
  expect(
    rowsOf(
      new Map([
        [0, page(0, 100)],
        [5, page(500, 100, { total: 900, ...later })],
      ]),
    ).length,
  ).toBe(900)
  expect(
    rowsOf(
      new Map([
        [0, page(0, 100)],
        [9, page(900, 40, { next: null })],
      ]),
    ).length,
  ).toBe(940)
  expect(rowsOf(new Map()).length).toBe(0)
})

test("a row is meant by its digits, and stays in the list", () => {
  expect(rowIn("900,000", 1_000_000)).toBe(900_000)
  expect(rowIn("9 000 000", 1_000_000)).toBe(1_000_000)
  expect(rowIn("0", 50)).toBe(1)
  expect(rowIn("last", 50)).toBeNull()
})
