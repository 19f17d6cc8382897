import { expect, test } from "vitest"
import { en } from "./en"
import { say, sayOf } from "./say"

test("fills placeholders and chooses the plural form", () => {
  expect(say("devices.count", { n: 1, shown: "1" })).toBe("1 device")
  expect(say("devices.count", { n: 1200, shown: "1,200" })).toBe("1,200 devices")
  expect(say("live.live", { behind: "0.2 s" })).toBe("live · 0.2 s behind")
})

test("a key with a dot in it is found", () => {
  expect(sayOf("events", "alert.raised", "?", { rule: "dry" })).toBe("Alert: dry")
  expect(sayOf("events", "unheard.of", "unheard.of")).toBe("unheard.of")
})

test("no text holds a hyphen where a minus belongs, or three dots for an ellipsis", () => {
  const texts = JSON.stringify(en)
  expect(texts).not.toMatch(/\.\.\.|[^\w]-\d/)
})
