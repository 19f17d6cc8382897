import { expect, test } from "vitest"
import { filterOf, wholeFilterOf } from "./filterOf"

test("a filter and what it was narrowed to become one", () => {
  expect(filterOf({ filter: "health < 50 or stale" })).toBe("health < 50 or stale")
  expect(filterOf({ filter: "health < 50", site: "o'slo" })).toBe("(health < 50) and site = 'o''slo'")
  expect(filterOf({})).toBeUndefined()
})

test("words that are searched for become a filter, too", () => {
  expect(wholeFilterOf({ q: "pump" })).toBe("(id like '*pump*' or name like '*pump*')")
  expect(wholeFilterOf({ q: "p", filter: "stale or silent" })).toBe(
    "(stale or silent) and (id like '*p*' or name like '*p*')",
  )
  expect(wholeFilterOf({ q: "a*b" })).toBe("(id like '*a\\*b*' or name like '*a\\*b*')")
  expect(wholeFilterOf({ site: "oslo" })).toBe("site = 'oslo'")
})
