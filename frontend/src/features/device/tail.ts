/** The newest end of a device's charts: what the stream has told since its history was read. */
import type { Series } from "@/api/schema"
import { withGaps } from "@/components/gaps"

/** Points of one channel in the order of time (epoch ms). */
export interface Points {
  readonly time: readonly number[]
  readonly value: readonly number[]
}

export type Tail = Readonly<Record<string, Points>>

export interface Told {
  readonly at: number | null
  readonly value: number | null
}

/** So many points are kept of each channel. */
export const MOST = 600
/** The stream tells a value a second at most, whatever the device's pace. */
const PACE_MS = 2000

/** The tail with what is newly told; the same object where nothing is. */
export function grown(tail: Tail, told: Readonly<Record<string, Told>>): Tail {
  const more = Object.entries(told).flatMap(([channel, { at, value }]) => {
    const before = tail[channel] ?? { time: [], value: [] }
    if (at === null || value === null || at <= (before.time.at(-1) ?? 0)) return []
    const points = { time: [...before.time, at].slice(-MOST), value: [...before.value, value].slice(-MOST) }
    return [[channel, points] as const]
  })
  return more.length === 0 ? tail : { ...tail, ...Object.fromEntries(more) }
}

/** A series that goes on with those points that are later than it. It breaks where they leave out more than `longestMs`. */
export function withTail(series: Series, points: Points | undefined, longestMs: number): Series {
  const last = series.time.at(-1) ?? Number.NEGATIVE_INFINITY
  const from = points ? points.time.findIndex((at) => at > last) : -1
  if (!points || from < 0) return series
  const end = <T>(column: readonly T[] | null | undefined) => column?.slice(-1) ?? []
  const [time, value] = [points.time.slice(from), points.value.slice(from)]
  const joined = withGaps(
    { time: [...end(series.time), ...time], value: [...end(series.value ?? series.max), ...value] },
    Math.max(longestMs, PACE_MS),
  )
  const had = Math.min(1, series.time.length)
  const values = joined.value?.slice(had) ?? []
  return {
    time: [...series.time, ...joined.time.slice(had)],
    value: series.value && [...series.value, ...values],
    min: series.min && [...series.min, ...values],
    max: series.max && [...series.max, ...values],
  }
}
