/** Where the courses of arms are drawn: their lines, what lies around them, and the axes that they share. */
import type { ArmFan, Fans } from "@/api/whatif"
import type { Tokens } from "@/components/tokens"
import { span } from "@/words/times"

export type Values = readonly (number | null)[]

export interface Line {
  readonly values: Values
  readonly colour: string
  readonly width: number
  readonly dash?: readonly number[]
}

export interface Band {
  readonly low: Values
  readonly high: Values
  readonly fill: string
}

/** How the line of an arm is told from others: by few calm hues, and by its strokes. */
export interface Look {
  readonly colour: string
  readonly dash?: readonly number[]
}

const HOUR_MS = 3_600_000
const ROOM = 0.06
/** Each band lies over the wider ones, so that the middle is the darkest. */
const SHADE = "1f"
const THIN_SHADE = "14"
const SINGLE = "70"
/** Of the arms together only this range is drawn, or there is no seeing through them. */
const TOGETHER = 0.8

/** The look of the arm at a place, the reference first. */
export function lookOf(place: number, { ink, action, muted }: Tokens): Look {
  const looks: readonly Look[] = [
    { colour: ink },
    { colour: action },
    { colour: action, dash: [7, 4] },
    { colour: muted, dash: [2, 3] },
    { colour: ink, dash: [7, 4] },
    { colour: action, dash: [2, 3] },
  ]
  return looks[place % looks.length] as Look
}

export interface Drawing {
  readonly lines: readonly Line[]
  readonly bands: readonly Band[]
}

/** One arm by itself: its median, the ranges around it, and single futures where they are wanted. */
export function apart(fan: ArmFan, tokens: Tokens, withPaths: boolean): Drawing {
  const bands = fan.ranges.map((_, i) => ({
    low: fan.low[i] ?? [],
    high: fan.high[i] ?? [],
    fill: `${tokens.action}${SHADE}`,
  }))
  const median = { values: fan.median, colour: tokens.action, width: 1.6 }
  return { lines: [...pathsOf(fan, tokens.ink, withPaths), median], bands }
}

/** All arms in one plot, the reference first. */
export function together(fans: readonly ArmFan[], tokens: Tokens, withPaths: boolean): Drawing {
  const looks = fans.map((_, i) => lookOf(i, tokens))
  return {
    bands: fans.flatMap((fan, i) => {
      const range = fan.ranges.indexOf(TOGETHER)
      if (range < 0) return []
      const fill = `${looks[i]?.colour}${THIN_SHADE}`
      return [{ low: fan.low[range] ?? [], high: fan.high[range] ?? [], fill }]
    }),
    lines: fans.flatMap((fan, i) => {
      const { colour, dash } = looks[i] as Look
      return [...pathsOf(fan, colour, withPaths), { values: fan.median, colour, dash, width: 1.8 }]
    }),
  }
}

function pathsOf({ paths }: ArmFan, colour: string, isWanted: boolean): readonly Line[] {
  return isWanted ? paths.map((values) => ({ values, colour: `${colour}${SINGLE}`, width: 0.8 })) : []
}

/** The arms with the reference first. */
export function inOrder(arms: readonly ArmFan[], reference: string): readonly ArmFan[] {
  return [...arms.filter(({ arm }) => arm === reference), ...arms.filter(({ arm }) => arm !== reference)]
}

/** The middles of the stretches of time, h after the fork. */
export function middles({ start_h, bucket_h }: Pick<Fans, "start_h" | "bucket_h">): readonly number[] {
  return start_h.map((start) => start + bucket_h / 2)
}

/** The ends of an axis on which everything has room; from zero where that is near. */
export function endsOf(columns: readonly Values[]): readonly [number, number] {
  const known = columns.flat().filter((value) => value !== null)
  if (known.length === 0) return [0, 1]
  // All of them as arguments at once could be too many.
  const least = known.reduce((a, b) => Math.min(a, b))
  const greatest = known.reduce((a, b) => Math.max(a, b))
  const room = (greatest - least) * ROOM || Math.abs(greatest) * ROOM || 1
  return [least >= 0 && least <= greatest / 2 ? 0 : least - room, greatest + room]
}

export function columnsOf({ median, low, high, paths }: ArmFan, withPaths: boolean): readonly Values[] {
  return [median, ...low, ...high, ...(withPaths ? paths : [])]
}

/** Hours after the fork as people read them. */
export function hoursText(hours: number): string {
  return hours === 0 ? "0" : span(hours * HOUR_MS)
}
