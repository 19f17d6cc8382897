/** The events that an address asks for, and the rules that they can be narrowed to. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { useCallback, useMemo } from "react"
import type { JournalSearch } from "@/addresses"
import { journalQuery, typesQuery } from "@/api/queries"

const RANGES = { "1h": 3600, "24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400 } as const

export function useJournal({ start, end, range = "24h", kind = "alert", ...choice }: JournalSearch) {
  const isFixed = start !== undefined && end !== undefined
  const list = useInfiniteQuery(
    journalQuery({ ...choice, kind }, isFixed ? { start, end } : { lastS: RANGES[range] }),
  )
  const { fetchNextPage, hasNextPage, isFetching } = list
  return {
    items: useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data]),
    total: list.data?.pages[0]?.total ?? 0,
    range: isFixed ? null : range,
    isPending: list.isPending,
    error: list.isError && !list.data ? list.error : null,
    retry: () => void list.refetch(),
    fetchMore: useCallback(() => {
      if (hasNextPage && !isFetching) fetchNextPage()
    }, [fetchNextPage, hasNextPage, isFetching]),
  }
}

/** Every rule of every type once, by title. */
export function useRules() {
  const { data } = useQuery(typesQuery)
  return useMemo(() => {
    const titles = new Map(data?.flatMap(({ rules }) => rules.map(({ name, title }) => [name, title])))
    return [...titles]
      .map(([value, label]) => ({ value, label: label || value }))
      .sort((a, b) => a.label.localeCompare(b.label))
  }, [data])
}
