/** The devices that the address of the page asks for, page after page, with those in view kept live. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { useCallback, useMemo, useState } from "react"
import type { DeviceListSearch } from "@/addresses"
import { deviceListQuery, summaryQuery } from "@/api/queries"
import type { DeviceItem, FleetSummary } from "@/api/schema"
import { useWatch } from "@/api/useStream"
import { filterOf } from "./filterOf"

export const DEFAULT_SORT = "health"
const WATCHED = 80
const REFRESH_MS = 15_000

export interface FacetGroup {
  readonly key: "site" | "type" | "status"
  readonly values: readonly { readonly value: string; readonly devices: number }[]
}

export function useDevices(search: DeviceListSearch) {
  const sort = search.sort ?? DEFAULT_SORT
  const choice = { filter: filterOf(search), q: search.q, sort }
  const list = useInfiniteQuery({
    ...deviceListQuery(choice),
    // A page re-read by age brings order and counts up to date; deep in the list that would move what is being read.
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) <= 2 ? REFRESH_MS : false),
  })
  const summary = useQuery(summaryQuery).data
  const items = useMemo(() => unique(list.data?.pages.flatMap((page) => page.items) ?? []), [list.data])
  const [visible, setVisibleIds] = useState<readonly string[]>([])
  useWatch(visible)

  const setVisible = useCallback((rows: readonly DeviceItem[]) => {
    const ids = rows.slice(0, WATCHED).map(({ id }) => id)
    setVisibleIds((before) => (before.join("\n") === ids.join("\n") ? before : ids))
  }, [])
  const { fetchNextPage, hasNextPage, isFetching, isError } = list
  const fetchMore = useCallback(() => {
    if (hasNextPage && !isFetching) fetchNextPage()
  }, [fetchNextPage, hasNextPage, isFetching])

  return {
    choice,
    items,
    total: list.data?.pages[0]?.total ?? null,
    all: summary?.devices ?? null,
    isPending: list.isPending,
    error: isError && !list.data ? list.error : null,
    fetchMore: list.data ? fetchMore : () => void list.refetch(),
    sort,
    setVisible,
    facets: useMemo(() => facetsOf(summary), [summary]),
  }
}

/** While values move, a device may come twice; the first place it was seen in holds. */
function unique(items: readonly DeviceItem[]): DeviceItem[] {
  const seen = new Set<string>()
  return items.filter(({ id }) => !seen.has(id) && seen.add(id))
}

function facetsOf(summary: FleetSummary | undefined): FacetGroup[] {
  if (!summary) return []
  const { reporting, stale, silent, retired, importing } = summary
  const statuses = Object.entries({ reporting, stale, silent, retired, importing })
  return [
    {
      key: "status",
      values: statuses.filter(([, n]) => n > 0).map(([value, devices]) => ({ value, devices })),
    },
    { key: "type", values: summary.types.map(({ type, devices }) => ({ value: type, devices })) },
    { key: "site", values: summary.sites.map(({ site, devices }) => ({ value: site, devices })) },
  ]
}
