import { expect, test } from "vitest"
import { asFilter, countOf, isSelected, type Selection, toggled, whichOf } from "./useSelection"

const NONE: Selection = { all: false, ids: new Set() }
const ALL: Selection = { all: true, ids: new Set() }
const but = (selection: Selection, ...ids: string[]) => ids.reduce(toggled, selection)

test("devices are selected one by one, and taken out again", () => {
  const two = but(NONE, "pump-1", "pump-2")
  expect(countOf(two, 100)).toBe(2)
  expect(isSelected(two, "pump-1")).toBe(true)
  expect(isSelected(two, "pump-3")).toBe(false)
  expect(whichOf(two, { filter: "health < 50" })).toEqual({ devices: ["pump-1", "pump-2"] })
  expect(countOf(but(two, "pump-1"), 100)).toBe(1)
})

test("all that match are those of the list, seen or not", () => {
  expect(countOf(ALL, 1234)).toBe(1234)
  expect(isSelected(ALL, "any")).toBe(true)
  expect(whichOf(ALL, {})).toEqual({ matching: { filter: "", q: "" } })
  expect(whichOf(ALL, { filter: "health < 50", q: "pump" })).toEqual({
    matching: { filter: "health < 50", q: "pump" },
  })
})

test("some of all can be left out, and come back", () => {
  const most = but(ALL, "o'hara", "pump-2")
  expect(countOf(most, 1234)).toBe(1232)
  expect(isSelected(most, "pump-2")).toBe(false)
  expect(isSelected(most, "pump-3")).toBe(true)
  expect(whichOf(most, {}).matching?.filter).toBe("id not in ('o''hara', 'pump-2')")
  expect(whichOf(most, { filter: "stale or silent" }).matching?.filter).toBe(
    "(stale or silent) and id not in ('o''hara', 'pump-2')",
  )
  expect(but(most, "pump-2", "o'hara")).toEqual(ALL)
})

test("a selection is one filter, but for more names than an address holds", () => {
  expect(asFilter(but(NONE, "a", "b"), "health < 50")).toBe("id in ('a', 'b')")
  expect(asFilter(ALL, undefined)).toBeUndefined()
  expect(asFilter(ALL, "health < 50")).toBe("health < 50")
  expect(asFilter(but(ALL, "a"), "health < 50")).toBe("(health < 50) and id not in ('a')")
  const many = Array.from({ length: 101 }, (_, i) => `pump-${i}`)
  expect(asFilter(but(NONE, ...many), undefined)).toBeNull()
})
