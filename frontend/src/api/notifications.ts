/** Who is told of alerts when nobody looks: channels, routes, and what became of each message. */
import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query"
import { api, segment } from "./client"
import { keys } from "./queries"
import type {
  ChannelChangeWritable,
  ChannelList,
  ChannelMade,
  ChannelTested,
  DeliveryItem,
  DeliveryPage,
  NewChannelWritable,
  NotificationRoute,
  NotificationRouteItem,
  NotificationRouteList,
  NotificationSummary,
} from "./schema"

const PAGE = 100
const FOLLOW_MS = 15_000
const ROUTES = "/notifications/routes"
const CHANNELS = "/notifications/channels"

export const notificationSummaryQuery = queryOptions({
  queryKey: [...keys.notifications, "summary"],
  queryFn: ({ signal }) => api<NotificationSummary>("/notifications", { signal }),
  refetchInterval: FOLLOW_MS,
})

export const channelsQuery = queryOptions({
  queryKey: [...keys.notifications, "channels"],
  queryFn: ({ signal }) => api<ChannelList>(CHANNELS, { signal }),
})

export const routesQuery = queryOptions({
  queryKey: [...keys.notifications, "routes"],
  queryFn: ({ signal }) => api<NotificationRouteList>(ROUTES, { signal }),
})

export function deliveriesQuery(state: DeliveryItem["state"] | undefined) {
  return infiniteQueryOptions({
    queryKey: [...keys.notifications, "deliveries", state],
    queryFn: ({ pageParam, signal }) =>
      api<DeliveryPage>("/notifications/deliveries", {
        query: { state, limit: PAGE, after: pageParam },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: ({ next }) => next,
    placeholderData: keepPreviousData,
    refetchInterval: ({ state: { data } }) => ((data?.pages.length ?? 0) <= 1 ? FOLLOW_MS : false),
  })
}

/** Something that is kept, at the revision at which it was seen. */
export interface Kept {
  readonly id: string
  readonly revision: number
}

/** A route to make, or with `kept` to put in that one's place. */
export function useSaveRoute() {
  return useChange(({ kept, route }: { readonly kept: Kept | null; readonly route: NotificationRoute }) =>
    kept
      ? api<NotificationRouteItem>(`${ROUTES}/${segment(kept.id)}`, {
          method: "PUT",
          body: route,
          revision: kept.revision,
        })
      : api<NotificationRouteItem>(ROUTES, { method: "POST", body: route }),
  )
}

export function useRemoveRoute() {
  return useChange(({ id, revision }: Kept) =>
    api(`${ROUTES}/${segment(id)}`, { method: "DELETE", revision }),
  )
}

export function useAddChannel() {
  return useChange((channel: NewChannelWritable) =>
    api<ChannelMade>(CHANNELS, { method: "POST", body: channel }),
  )
}

export function useChangeChannel() {
  return useChange(({ kept, change }: { readonly kept: Kept; readonly change: ChannelChangeWritable }) =>
    api<ChannelMade>(`${CHANNELS}/${segment(kept.id)}`, {
      method: "PUT",
      body: change,
      revision: kept.revision,
    }),
  )
}

export function useRemoveChannel() {
  return useChange(({ id, revision }: Kept) =>
    api(`${CHANNELS}/${segment(id)}`, { method: "DELETE", revision }),
  )
}

/** Send a message that says it is a test. */
export function useTestChannel() {
  return useChange((id: string) => api<ChannelTested>(`${CHANNELS}/${segment(id)}/test`, { method: "POST" }))
}

function useChange<Wish, Answer>(mutationFn: (wish: Wish) => Promise<Answer>) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn,
    onSettled: () => cache.invalidateQueries({ queryKey: keys.notifications }),
  })
}
