/** Where a plot of forecasts against the truth has its points, its lines and its ticks. */

export interface Point {
  readonly across: number
  readonly up: number
  /** Around it, what was thought likely. */
  readonly low?: number
  readonly high?: number
  /** How many it stands for. */
  readonly count?: number
}

/** A place in the plot, px. */
export type Place = readonly [number, number]

const TICKS = 5
const SMALLEST = 1.5
const LARGEST = 4

/** Round numbers from 0 up to `most`, about five of them. */
export function ticksUpTo(most: number): readonly number[] {
  const size = 10 ** Math.floor(Math.log10(most / TICKS))
  const step = [1, 2, 5, 10].map((each) => each * size).find((each) => most / each <= TICKS) ?? most
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) =>
    Number((i * step).toPrecision(6)),
  )
}

/** The end of both axes: all that is known fits, and there is one where nothing is. */
export function mostOf(points: readonly Point[]): number {
  const most = Math.max(0, ...points.flatMap(({ across, up, high = 0 }) => [across, up, high]))
  return most || 1
}

/** How large each point is drawn, px: by area, the one that stands for most the largest. */
export function radii(points: readonly Point[]): readonly number[] {
  const most = Math.max(...points.map(({ count = 0 }) => count))
  return points.map(({ count = most }) =>
    most > 0 ? Math.max(SMALLEST, LARGEST * Math.sqrt(count / most)) : LARGEST,
  )
}

/** The path through places, in their order. */
export function path(places: readonly Place[]): string {
  return places.map(([x, y], i) => `${i === 0 ? "M" : "L"}${round(x)} ${round(y)}`).join("")
}

/** The path of a curve that falls at its points: each value holds up to its place, the last one falls to the bottom. */
export function fallingPath(places: readonly Place[], bottom: number): string {
  const falls = places.flatMap(([x, y], i): readonly Place[] => [
    [x, y],
    [x, places[i + 1]?.[1] ?? bottom],
  ])
  return path(falls)
}

/** The outline of what lies between the lows and the highs; empty where no point has them. */
export function bandPath(points: readonly Point[], at: (across: number, up: number) => Place): string {
  const banded = points.filter((each) => each.low !== undefined && each.high !== undefined)
  if (banded.length === 0) return ""
  const highs = banded.map(({ across, high = 0 }) => at(across, high))
  const lows = banded.map(({ across, low = 0 }) => at(across, low))
  return `${path([...highs, ...lows.reverse()])}Z`
}

function round(px: number): number {
  return Math.round(px * 10) / 10
}
