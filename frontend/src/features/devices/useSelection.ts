/** Which devices of the list are selected: some by id, or all that match but for some. */
import { useMemo, useState } from "react"
import type { DeviceWhich } from "@/api/commands"
import type { DeviceChoice } from "@/api/queries"
import { quote } from "@/components/filterline/completion"

export interface Selection {
  readonly all: boolean
  /** Those that are selected; of all, those that are not. */
  readonly ids: ReadonlySet<string>
}

const NONE: Selection = { all: false, ids: new Set() }
const ALL: Selection = { all: true, ids: new Set() }

export interface Selecting {
  readonly selection: Selection
  /** How many are selected, and how many match. */
  readonly n: number
  readonly total: number
  readonly toggle: (id: string) => void
  readonly selectAll: () => void
  readonly clear: () => void
}

/**
 * The selection in the list that `choice` asks for, in which `total` devices match. Another filter or search begins anew,
 * another order does not.
 */
export function useSelection({ filter, q }: DeviceChoice, total: number): Selecting {
  const list = JSON.stringify([filter, q])
  const [kept, setKept] = useState({ list, selection: NONE })
  const selection = kept.list === list ? kept.selection : NONE
  return useMemo(() => {
    const set = (next: Selection) => setKept({ list, selection: next })
    return {
      selection,
      n: countOf(selection, total),
      total,
      toggle: (id) => set(toggled(selection, id)),
      selectAll: () => set(ALL),
      clear: () => set(NONE),
    }
  }, [list, selection, total])
}

export function isSelected({ all, ids }: Selection, id: string): boolean {
  return ids.has(id) !== all
}

/** How many that are, of so many that match. */
export function countOf({ all, ids }: Selection, total: number): number {
  return all ? Math.max(0, total - ids.size) : ids.size
}

/** The selection with a device added or taken out. */
export function toggled({ all, ids }: Selection, id: string): Selection {
  const next = new Set(ids)
  if (!next.delete(id)) next.add(id)
  return { all, ids: next }
}

/** The selection as the API takes it. */
export function whichOf({ all, ids }: Selection, { filter = "", q = "" }: DeviceChoice): DeviceWhich {
  if (!all) return { devices: [...ids] }
  const others = ids.size > 0 ? `id not in (${[...ids].map(quote).join(", ")})` : ""
  return { matching: { filter: filter && others ? `(${filter}) and ${others}` : filter || others, q } }
}

/** The selection as one filter; null where it is of more devices by name than an address holds. */
export function asFilter({ all, ids }: Selection, within: string | undefined): string | undefined | null {
  if (ids.size > MOST_NAMED) return null
  const named = ids.size > 0 ? `id ${all ? "not " : ""}in (${[...ids].map(quote).join(", ")})` : ""
  if (!all) return named
  return within && named ? `(${within}) and ${named}` : within || named || undefined
}

const MOST_NAMED = 100
