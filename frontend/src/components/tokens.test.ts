import { expect, test } from "vitest"
import { TOKENS, type Tokens } from "./tokens"

function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number]
  return (light + 0.05) / (dark + 0.05)
}

const GROUNDS = ["page", "surface", "raised"] as const
const TEXTS = ["ink", "muted", "action"] as const
const MARKS = ["critical", "high", "medium", "low", "stale"] as const

const cases = (["light", "dark"] as const).flatMap((scheme) =>
  GROUNDS.flatMap((ground) => [
    ...TEXTS.map((text) => [scheme, text, ground, 4.5] as const),
    ...MARKS.map((mark) => [scheme, mark, ground, 3] as const),
  ]),
)

test.each(cases)(
  "%s: %s on %s has a contrast of at least %d",
  (scheme, text: keyof Tokens, ground, least) => {
    expect(contrast(TOKENS[scheme][text], TOKENS[scheme][ground])).toBeGreaterThanOrEqual(least)
  },
)

test.each(["light", "dark"] as const)("%s: text on the primary button", (scheme) => {
  expect(contrast(TOKENS[scheme].onAction, TOKENS[scheme].action)).toBeGreaterThanOrEqual(4.5)
})
