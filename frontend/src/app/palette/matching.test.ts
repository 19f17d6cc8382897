import { expect, test } from "vitest"
import { matching } from "./matching"

const ITEMS = [
  { label: "Theme: dark" },
  { label: "Devices", words: "list" },
  { label: "Go to all devices" },
  { label: "Språk: Norsk bokmål" },
]
const labels = (typed: string) => matching(ITEMS, typed).map(({ label }) => label)

test("every typed word begins a word, in any order", () => {
  expect(labels("da the")).toEqual(["Theme: dark"])
  expect(labels("ark")).toEqual([])
  expect(labels("list")).toEqual(["Devices"])
  expect(labels("språk")).toEqual(["Språk: Norsk bokmål"])
})

test("what begins with it comes first, and nothing typed is everything", () => {
  expect(labels("devices")).toEqual(["Devices", "Go to all devices"])
  expect(labels(" ")).toHaveLength(ITEMS.length)
})
