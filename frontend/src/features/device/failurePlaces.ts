/** Where a curve of failure runs, as shares of what is drawn. */
import type { FailureCurve } from "@/api/schema"

/** Pairs of (share of the time drawn, probability), from now to its end, where the curve is cut between its points. */
export function curvePlaces({ hours, p_fail }: FailureCurve, untilH: number): [number, number][] {
  const places: [number, number][] = []
  for (const [i, h] of hours.entries()) {
    const p = p_fail[i] ?? 0
    if (h <= untilH) {
      places.push([h / untilH, p])
      continue
    }
    const before = hours[i - 1] ?? 0
    const pBefore = p_fail[i - 1] ?? 0
    places.push([1, pBefore + ((p - pBefore) * (untilH - before)) / (h - before)])
    return places
  }
  const last = places.at(-1)
  if (last && last[0] < 1) places.push([1, last[1]])
  return places
}
