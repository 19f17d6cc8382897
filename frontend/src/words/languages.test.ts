import { afterAll, expect, test } from "vitest"
import { en } from "./en"
import { count, quantity } from "./figures"
import { languageOf, speakAs } from "./languages"
import { nb } from "./nb"
import { language, say } from "./say"
import { ago, day, setZone, span } from "./times"
import { whatif } from "./whatif"

afterAll(() => speakAs("en"))

/** Every text by its path; a plural counts as one for each form. */
function texts(branch: object, path = ""): Map<string, string> {
  const found = Object.entries(branch).flatMap(([key, value]): [string, string][] => {
    const here = path ? `${path}.${key}` : key
    return typeof value === "string" ? [[here, value]] : [...texts(value, here)]
  })
  return new Map(found)
}

const ENGLISH = texts({ ...en, whatif })
const BOKMAL = texts(nb)

function placeholders(text: string | undefined): string[] {
  return [...new Set(text?.match(/\{\w+\}/g))].sort()
}

test("no text is missing in either language", () => {
  expect([...ENGLISH.keys()].filter((key) => !BOKMAL.has(key))).toEqual([])
  expect([...BOKMAL.keys()].filter((key) => !ENGLISH.has(key))).toEqual([])
})

test("texts of both languages take the same facts", () => {
  const differ = [...ENGLISH].filter(
    ([key, text]) => String(placeholders(text)) !== String(placeholders(BOKMAL.get(key))),
  )
  expect(differ).toEqual([])
})

test("no text of either language holds a hyphen for a minus, three dots, or space at an end", () => {
  for (const text of [...ENGLISH.values(), ...BOKMAL.values()])
    expect(text).not.toMatch(/\.\.\.|[^\w-]-\d|^\s|\s$/)
})

test("a choice is its own language, none is the browser's, and what is not there is English", () => {
  expect(languageOf("nb", ["en"])).toBe("nb")
  expect(languageOf("", ["de-DE", "nn-NO", "en"])).toBe("nb")
  expect(languageOf("", ["en-GB", "nb"])).toBe("en")
  expect(languageOf("fr", ["nb"])).toBe("en")
})

test("texts, figures, spans and dates follow the language, and come back", async () => {
  setZone("UTC")
  const at = Date.UTC(2026, 2, 1)
  expect(await speakAs("nb")).toBe(true)
  expect(language()).toBe("nb")
  expect(say("devices.count", { n: 2, shown: "2" })).toBe("2 enheter")
  expect(count(998212)).toMatch(/^998\s212$/)
  expect(quantity(-7.31, "Cel")).toBe("−7,31\u202f°C")
  expect(ago(at, at + 3 * 3_600_000)).toBe("for 3\u202ft siden")
  expect(day(at)).toBe("01.03.2026")
  expect(await speakAs("en")).toBe(true)
  expect(say("devices.count", { n: 2, shown: "2" })).toBe("2 devices")
  expect([count(998212), day(at), span(3_600_000)]).toEqual(["998,212", "2026-03-01", "60\u202fmin"])
})

test("the language asked for last is the one in force", async () => {
  const first = speakAs("nb")
  const second = speakAs("en")
  expect([await first, await second]).toEqual([false, true])
  expect(language()).toBe("en")
})
