/** Which of the alerts that come are heard: those chosen, and in a flood the most urgent, not each. */
import type { Priority } from "@/api/schema"
import { PRIORITIES } from "./tokens"

/** Between two sounds, unless the second is more urgent. */
export const CALM_MS = 4_000

export interface Choice {
  readonly sounds: readonly string[]
  readonly muted: boolean
}

/** Whether an alert of a priority is heard now; remembers what was. */
export function listener(): (priority: Priority, choice: Choice, nowMs: number) => boolean {
  let heard = { level: PRIORITIES.length, at: Number.NEGATIVE_INFINITY }
  return (priority, { sounds, muted }, nowMs) => {
    if (muted || !sounds.includes(priority)) return false
    const level = PRIORITIES.indexOf(priority)
    if (nowMs - heard.at < CALM_MS && level >= heard.level) return false
    heard = { level, at: nowMs }
    return true
  }
}
