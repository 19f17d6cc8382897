/** What the overview shows: the fleet's counts and map, from REST once and then as they change. */
import { useQuery, useQueryClient } from "@tanstack/react-query"
import { useMemo } from "react"
import { mapCellQuery, mapQuery, summaryQuery } from "@/api/queries"
import { CELL, decodeCells, tally } from "@/components/fleetmap/cells"
import { count } from "@/words/figures"
import { type Phrase, say } from "@/words/say"

export type CellName = keyof typeof CELL

/** From what needs a person most to what needs none. */
export const CELL_NAMES: readonly CellName[] = [
  "critical",
  "high",
  "medium",
  "low",
  "silent",
  "stale",
  "normal",
  "retired",
]

export function useOverview() {
  const cache = useQueryClient()
  const summary = useQuery(summaryQuery)
  const map = useQuery(mapQuery)
  const cells = useMemo(() => tell(map.data?.sites.map((site) => decodeCells(site.cells)) ?? []), [map.data])
  const failed =
    (summary.isError && !summary.data && summary.error) || (map.isError && !map.data && map.error) || null
  return {
    summary: summary.data,
    map: map.data,
    cells,
    isEmpty: summary.data?.devices === 0 && (map.data?.sites.length ?? 0) === 0,
    error: failed,
    retry: () => {
      summary.refetch()
      map.refetch()
    },
    openCell: async ({ site, index }: { site: string; index: number }) => {
      const device = await cache.fetchQuery(mapCellQuery(site, index)).catch(() => null)
      return device?.id
    },
  }
}

export function cellWord(name: CellName): string {
  return say((name in PRIORITY_WORDS ? `priority.${name}` : `map.${name}`) as Phrase)
}

const PRIORITY_WORDS = { critical: 1, high: 1, medium: 1, low: 1 }

function tell(sites: readonly Uint8Array[]) {
  const byCode = tally(sites)
  const counts = CELL_NAMES.map((name) => ({ name, devices: byCode[CELL[name]] ?? 0 }))
  const abnormal = counts.filter(({ devices }) => devices > 0)
  return {
    counts,
    summary: abnormal.map(({ name, devices }) => `${count(devices)} ${cellWord(name)}`).join(", "),
  }
}
