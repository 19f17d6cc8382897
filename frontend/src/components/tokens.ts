/** The look as data: one table of colours for stylesheets, canvas and the contrast test. Roles, not hues. */
import type { Priority } from "@/api/schema"

export interface Tokens {
  readonly page: string
  readonly surface: string
  readonly raised: string
  readonly line: string
  readonly ink: string
  readonly muted: string
  readonly faint: string
  readonly action: string
  readonly onAction: string
  readonly critical: string
  readonly high: string
  readonly medium: string
  readonly low: string
  readonly stale: string
  readonly band: string
  readonly normal: string
  readonly bar: string
  readonly barFill: string
}

export const TOKENS: { readonly light: Tokens; readonly dark: Tokens } = {
  light: {
    page: "#f3f4f5",
    surface: "#ffffff",
    raised: "#f8f9fa",
    line: "#dfe3e6",
    ink: "#1b2125",
    muted: "#5f6b73",
    faint: "#98a3aa",
    action: "#2563c9",
    onAction: "#ffffff",
    critical: "#c4122f",
    high: "#d9660a",
    medium: "#a88400",
    low: "#54748f",
    stale: "#7566b0",
    band: "#dfe7ef",
    normal: "#dde2e6",
    bar: "#c6ced3",
    barFill: "#66727a",
  },
  dark: {
    page: "#101417",
    surface: "#171c20",
    raised: "#1c2227",
    line: "#29323a",
    ink: "#e4e9ec",
    muted: "#93a0a8",
    faint: "#63707a",
    action: "#76a5f5",
    onAction: "#101417",
    critical: "#ff5a6e",
    high: "#ff9a3d",
    medium: "#e3c13c",
    low: "#8fb0cc",
    stale: "#a79be0",
    band: "#22303d",
    normal: "#222a31",
    bar: "#323d46",
    barFill: "#93a0a8",
  },
}

/** From the most to the least urgent. */
export const PRIORITIES: readonly Priority[] = ["critical", "high", "medium", "low"]

/** The stylesheet's name of a token: `--tf-ink`. */
export function variable(token: keyof Tokens): string {
  return `--tf-${token.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}
