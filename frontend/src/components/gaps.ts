/** Where nothing was measured for a while the line must break: times without readings are not in a series. */
import type { Series } from "@/api/schema"

/** The series with an unknown point wherever two readings are further apart than `longestMs`. */
export function withGaps({ time, value, min, max }: Series, longestMs: number): Series {
  const breaks: number[] = []
  for (let i = 1; i < time.length; i++) {
    if ((time[i] as number) - (time[i - 1] as number) > longestMs) breaks.push(i)
  }
  if (breaks.length === 0) return { time, value, min, max }
  const spread = <T>(column: readonly T[], between: (i: number) => T): T[] => {
    const whole: T[] = []
    let from = 0
    for (const i of breaks) {
      whole.push(...column.slice(from, i), between(i))
      from = i
    }
    return [...whole, ...column.slice(from)]
  }
  const unknown = () => null
  return {
    time: spread(time, (i) => ((time[i - 1] as number) + (time[i] as number)) / 2),
    value: value && spread(value, unknown),
    min: min && spread(min, unknown),
    max: max && spread(max, unknown),
  }
}
