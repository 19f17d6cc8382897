/** The alerts of the chosen tab, how many each tab holds, and what can be done with those selected. */
import { useInfiniteQuery, useQueries } from "@tanstack/react-query"
import { useCallback, useMemo, useState } from "react"
import { ALERT_TABS, type AlertSearch, type AlertTab } from "@/addresses"
import { alertListQuery, fewAlertsQuery, STANDING, UNACKNOWLEDGED } from "@/api/queries"
import type { AlertItem } from "@/api/schema"

const STATES: Readonly<Record<AlertTab, readonly string[]>> = {
  unacknowledged: UNACKNOWLEDGED,
  active: STANDING,
  shelved: ["SHELVED"],
  suppressed: ["SUPPRESSED_BY_DESIGN"],
  out_of_service: ["OUT_OF_SERVICE"],
}

export function useAlerts({ tab = "unacknowledged", ...narrowing }: AlertSearch) {
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
  const { fetchNextPage, hasNextPage, isFetching } = list

  return {
    items,
    total: list.data?.pages[0]?.total ?? 0,
    counts: Object.fromEntries(ALERT_TABS.map((each, i) => [each, tabs[i]?.data?.total])) as Record<
      AlertTab,
      number | undefined
    >,
    priorities: list.data?.pages[0]?.counts,
    isPending: list.isPending,
    error: list.isError && !list.data ? list.error : null,
    retry: () => void list.refetch(),
    fetchMore: useCallback(() => {
      if (hasNextPage && !isFetching) fetchNextPage()
    }, [fetchNextPage, hasNextPage, isFetching]),
    selected,
    selectedIds,
    toggle,
    select,
    clear,
  }
}
