/** The recommendations that an address shows. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { useMemo } from "react"
import type { AdviceSearch } from "@/addresses"
import { typesQuery } from "@/api/queries"
import { recommendationsQuery } from "@/api/recommendations"

export function useRecommendations({ decision, confidence, device, type, site, sort }: AdviceSearch) {
  const list = useInfiniteQuery(
    recommendationsQuery({ decision, confidence, device, type, site, sort: sort ?? "urgency" }),
  )
  const types = useQuery(typesQuery).data
  const items = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data])
  return {
    items,
    types,
    total: list.data?.pages[0]?.total ?? 0,
    isPending: list.isPending,
    error: list.isError && !list.data ? list.error : null,
    retry: () => void list.refetch(),
    fetchMore: () => {
      if (list.hasNextPage && !list.isFetchingNextPage) void list.fetchNextPage()
    },
  }
}
