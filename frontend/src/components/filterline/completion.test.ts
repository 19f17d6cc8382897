import { expect, test } from "vitest"
import { complete, isFilter, quote, type Term, take } from "./completion"

const TERMS: readonly Term[] = [
  { name: "health", kind: "number" },
  { name: "heard_at", kind: "time" },
  { name: "site", kind: "text", choices: ["oslo", "porto", "l'aquila"] },
  { name: "stale", kind: "flag" },
]

function offered(line: string): string[] {
  return complete(line, line.length, TERMS).map(({ text }) => text)
}

test.each([
  ["pump 17", false],
  ["stale", true],
  ["not stale", true],
  ["stale and silent", false],
  ["health < 50", true],
  ["site in ('oslo')", true],
  ["what is that", false],
  ["parent is null", true],
  ["island", false],
  ["", false],
])("%s: filter %s", (line, is) => expect(isFilter(line, TERMS)).toBe(is))

test("offers terms that begin like the word", () => expect(offered("he")).toEqual(["health", "heard_at"]))
test("offers comparisons after a term", () => expect(offered("health ")).toContain("<"))
test("offers values after a comparison", () =>
  expect(offered("site = ")).toEqual(["'oslo'", "'porto'", "'l''aquila'"]))
test("offers values inside a list", () => expect(offered("site in ('oslo', p")).toEqual(["'porto'"]))
test("offers values while one is written", () => expect(offered("site = 'os")).toEqual(["'oslo'"]))
test("offers to go on after a value", () => expect(offered("health < 50 ")).toEqual(["and", "or"]))
test("offers terms after and", () => expect(offered("health < 50 and s")).toEqual(["site", "stale"]))

test("a taken suggestion leaves the caret behind it", () => {
  const [suggestion] = complete("health < 50 and si", 18, TERMS)
  if (!suggestion) throw new Error("nothing offered")
  expect(take("health < 50 and si", suggestion)).toEqual({ line: "health < 50 and site ", caret: 21 })
})

test("quotes double", () => expect(quote("l'aquila")).toBe("'l''aquila'"))
