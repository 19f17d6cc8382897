/** "Firefox, Linux" from what a browser says of itself; empty where neither is known. */
export function browserOf(agent: string): string {
  const browser = first(BROWSERS, agent)
  const system = first(SYSTEMS, agent)
  return [browser, system].filter(Boolean).join(", ")
}

/** In this order: most browsers also claim to be some of those below them. */
const BROWSERS = [
  ["Edge", /\bEdg(e|A|iOS)?\//],
  ["Opera", /\bOPR\//],
  ["Firefox", /\b(Firefox|FxiOS)\//],
  ["Chrome", /\b(HeadlessChrome|Chrome|CriOS)\//],
  ["Safari", /\bSafari\//],
] as const
const SYSTEMS = [
  ["Android", /\bAndroid\b/],
  ["iPhone", /\biPhone\b/],
  ["iPad", /\biPad\b/],
  ["Windows", /\bWindows\b/],
  ["macOS", /\bMac OS X\b/],
  ["Linux", /\bLinux\b/],
] as const

function first(names: readonly (readonly [string, RegExp])[], agent: string): string {
  return names.find(([, pattern]) => pattern.test(agent))?.[0] ?? ""
}
