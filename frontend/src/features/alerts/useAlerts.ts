/** The alerts of the chosen tab, how many each tab holds, and what can be done with those selected. */
import { useInfiniteQuery, useQueries, useQuery } from "@tanstack/react-query"
import { useCallback, useMemo, useState } from "react"
import { ALERT_TABS, type AlertSearch, type AlertTab } from "@/addresses"
import {
  type AlertChoice,
  alertKpisQuery,
  alertListQuery,
  fewAlertsQuery,
  STANDING,
  UNACKNOWLEDGED,
} from "@/api/queries"
import type { AlertCounts, AlertItem, AlertKpis, AlertMatch } from "@/api/schema"

const STATES: Readonly<Record<AlertTab, readonly string[]>> = {
  unacknowledged: UNACKNOWLEDGED,
  active: STANDING,
  shelved: ["SHELVED"],
  suppressed: ["SUPPRESSED_BY_DESIGN"],
  out_of_service: ["OUT_OF_SERVICE"],
}

/** What an address narrows the alerts to, whatever the tab. */
export function narrowingOf({ priority, device, type, site, rule }: AlertSearch): AlertChoice {
  return { priority, device, type, site, filter: rule ? `rule = '${rule.replaceAll("'", "''")}'` : undefined }
}

/** The states that a tab shows. */
export function statesOf({ tab = "unacknowledged" }: AlertSearch): readonly string[] {
  return STATES[tab]
}

/** All alerts that an address shows, but for those raised later: nobody answers what was not there to be seen. */
export function matchOf(search: AlertSearch, at: number): AlertMatch {
  const { priority, device, type, site, filter } = narrowingOf(search)
  const before = `since <= '${new Date(at).toISOString()}'`
  const only = (value: string | undefined) => (value === undefined ? [] : [value])
  return {
    state: [...statesOf(search)],
    priority: only(priority) as AlertMatch["priority"],
    device: only(device),
    type: only(type),
    site: only(site),
    filter: filter ? `${before} and ${filter}` : before,
  }
}

/** The KPIs of the last hour, which say whether a flood is on. */
export function useFlood(): AlertKpis | undefined {
  return useQuery(alertKpisQuery(1)).data
}

export function useAlerts(search: AlertSearch) {
  const { tab = "unacknowledged", priority, device, type, site, rule } = search
  const narrowing = useMemo(
    () => narrowingOf({ priority, device, type, site, rule }),
    [priority, device, type, site, rule],
  )
  const list = useInfiniteQuery(alertListQuery({ state: STATES[tab], ...narrowing }))
  const tabs = useQueries({
    queries: ALERT_TABS.map((each) => fewAlertsQuery({ state: STATES[each], ...narrowing }, 1)),
  })
  const items = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data])
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())

  // What left the list is no longer selected: nobody acts on rows they do not see.
  const selected = useMemo(() => items.filter(({ id }) => chosen.has(id)), [items, chosen])
  const selectedIds = useMemo(() => new Set(selected.map(({ id }) => id)), [selected])
  const toggle = useCallback((alert: AlertItem) => {
    setChosen((before) => {
      const next = new Set(before)
      if (!next.delete(alert.id)) next.add(alert.id)
      return next
    })
  }, [])
  const select = useCallback(
    (alerts: readonly AlertItem[]) => setChosen(new Set(alerts.map(({ id }) => id))),
    [],
  )
  const clear = useCallback(() => setChosen(new Set()), [])
  const { fetchNextPage, hasNextPage, isFetchingNextPage, isRefetching, refetch } = list

  return {
    items,
    total: list.data?.pages[0]?.total ?? 0,
    counts: Object.fromEntries(ALERT_TABS.map((each, i) => [each, tabs[i]?.data?.total])) as Record<
      AlertTab,
      number | undefined
    >,
    priorities: list.data?.pages[0]?.counts,
    matched: matchedOf(list.data?.pages[0]?.counts, priority),
    isPending: list.isPending,
    error: list.isError && !list.data ? list.error : null,
    retry: () => void list.refetch(),
    // In a flood the list is being read anew most of the time. More of it does not wait for that, but ends it: so what
    // was given up for it is begun again.
    fetchMore: useCallback(async () => {
      if (!hasNextPage || isFetchingNextPage) return
      await fetchNextPage()
      if (isRefetching) refetch({ cancelRefetch: false })
    }, [fetchNextPage, hasNextPage, isFetchingNextPage, isRefetching, refetch]),
    selected,
    selectedIds,
    toggle,
    select,
    clear,
  }
}

/** Of what stands by priority, that which the address asks for. */
function matchedOf(counts: AlertCounts | undefined, priority: string | undefined): AlertCounts | undefined {
  if (!counts || priority === undefined) return counts
  return { critical: 0, high: 0, medium: 0, low: 0, [priority]: counts[priority as keyof AlertCounts] }
}
