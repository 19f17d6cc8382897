/** How far history is behind a host. */
import type { HostInfo } from "@/api/schema"

/** More entries than this, and what is asked of history lacks too much of the present. */
const LONG = 10_000

export interface Lag {
  /** Journal entries that history does not hold yet. */
  readonly entries: number
  readonly isLong: boolean
}

/** Null where either side is not known. */
export function lagOf({ cursor, archived }: Pick<HostInfo, "cursor" | "archived">): Lag | null {
  if (cursor === null || archived === null) return null
  const entries = Math.max(0, cursor - archived)
  return { entries, isLong: entries > LONG }
}
