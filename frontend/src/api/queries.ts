/** Every question the app asks, with its key in the query cache. The live stream writes under the same keys. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query"
import { api, ownCursor, segment } from "./client"
import type {
  AlertKpis,
  AlertPage,
  ConditionHistory,
  DeviceDetail,
  DeviceHistory,
  DeviceItem,
  DevicePage,
  EventItem,
  FleetMap,
  FleetSummary,
  TypeInfo,
} from "./schema"

export const keys = {
  me: ["me"],
  accounts: ["accounts"],
  deviceKeys: ["device-keys"],
  audit: ["audit"],
  summary: ["fleet", "summary"],
  map: ["fleet", "map"],
  types: ["types"],
  deviceLists: ["devices"],
  device: (id: string) => ["device", id],
  history: (id: string) => ["history", id],
  events: (id: string) => ["events", id],
  alertLists: ["alerts"],
  alertKpis: ["alert-kpis"],
} as const

export interface DeviceChoice {
  readonly filter?: string
  readonly q?: string
  readonly sort?: string
}

/** The states in which an alert waits for a person. */
export const UNACKNOWLEDGED: readonly string[] = ["UNACK", "RTN_UNACK", "LATCHED_UNACK"]
/** The states of alerts that are neither shelved, suppressed nor out of service. */
export const STANDING: readonly string[] = [...UNACKNOWLEDGED, "ACKED", "LATCHED_ACKED"]

export interface AlertChoice {
  readonly state?: readonly string[]
  readonly priority?: string
  readonly device?: string
  readonly type?: string
  readonly site?: string
}

/** A span of time: the last so many seconds, or from one moment to another (epoch ms). */
export type Range = { readonly lastS: number } | { readonly start: number; readonly end: number }

const PAGE = 100

export const summaryQuery = queryOptions({
  queryKey: keys.summary,
  queryFn: ({ signal }) => api<FleetSummary>("/fleet/summary", { query: { cursor: ownCursor() }, signal }),
})

export const mapQuery = queryOptions({
  queryKey: keys.map,
  queryFn: ({ signal }) => api<FleetMap>("/fleet/map", { query: { by: "site" }, signal }),
  structuralSharing: false,
})

export const typesQuery = queryOptions({
  queryKey: keys.types,
  queryFn: ({ signal }) => api<TypeInfo[]>("/types", { signal }),
  staleTime: 5 * 60_000,
})

export function mapCellQuery(site: string, index: number) {
  return queryOptions({
    queryKey: [...keys.map, "cell", site, index],
    queryFn: ({ signal }) => api<DeviceItem>("/fleet/map/cell", { query: { site, index }, signal }),
    staleTime: 10_000,
  })
}

export function deviceListQuery(choice: DeviceChoice) {
  return infiniteQueryOptions({
    queryKey: [...keys.deviceLists, choice],
    queryFn: ({ pageParam, signal }) =>
      api<DevicePage>("/devices", {
        query: { ...choice, limit: PAGE, after: pageParam, cursor: ownCursor() },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
  })
}

export function fewDevicesQuery(choice: DeviceChoice, limit: number) {
  return queryOptions({
    queryKey: [...keys.deviceLists, "few", choice, limit],
    queryFn: ({ signal }) =>
      api<DevicePage>("/devices", { query: { ...choice, limit, cursor: ownCursor() }, signal }),
    placeholderData: keepPreviousData,
  })
}

export function deviceQuery(id: string) {
  return queryOptions({
    queryKey: keys.device(id),
    queryFn: ({ signal }) => api<DeviceDetail>(`/devices/${segment(id)}`, { signal }),
    refetchInterval: 10_000,
  })
}

export function historyQuery(id: string, range: Range, points: number) {
  return queryOptions({
    queryKey: [...keys.history(id), range, points],
    queryFn: ({ signal }) =>
      api<DeviceHistory>(`/devices/${segment(id)}/history`, { query: { ...bounds(range), points }, signal }),
    placeholderData: keepPreviousData,
    structuralSharing: false,
    refetchInterval: "lastS" in range ? Math.max(5_000, (range.lastS * 1000) / points) : false,
  })
}

export function conditionQuery(id: string, range: Range) {
  return queryOptions({
    queryKey: [...keys.history(id), "condition", range],
    queryFn: ({ signal }) =>
      api<ConditionHistory>(`/devices/${segment(id)}/condition`, { query: bounds(range), signal }),
    placeholderData: keepPreviousData,
    structuralSharing: false,
    refetchInterval: "lastS" in range ? 60_000 : false,
  })
}

export function eventsQuery(id: string) {
  return queryOptions({
    queryKey: keys.events(id),
    queryFn: ({ signal }) =>
      api<{ items: EventItem[] }>(`/devices/${segment(id)}/events`, { query: { limit: 200 }, signal }),
    refetchInterval: 15_000,
  })
}

export function alertListQuery(choice: AlertChoice) {
  return infiniteQueryOptions({
    queryKey: [...keys.alertLists, choice],
    queryFn: ({ pageParam, signal }) =>
      api<AlertPage>("/alerts", {
        query: { ...choice, limit: PAGE, after: pageParam, cursor: ownCursor() },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
  })
}

export function fewAlertsQuery(choice: AlertChoice, limit: number) {
  return queryOptions({
    queryKey: [...keys.alertLists, "few", choice, limit],
    queryFn: ({ signal }) =>
      api<AlertPage>("/alerts", { query: { ...choice, limit, cursor: ownCursor() }, signal }),
    placeholderData: keepPreviousData,
  })
}

/** How the alerts of the last day treated the people who answer them. */
export const alertKpisQuery = queryOptions({
  queryKey: keys.alertKpis,
  queryFn: ({ signal }) => api<AlertKpis>("/alerts/kpis", { query: { hours: 24 }, signal }),
  refetchInterval: 60_000,
})

/** The bounds of a range as the API takes them, from the present where it is relative. */
export function bounds(range: Range, present = Date.now()): { start: string; end: string } {
  const [start, end] = "lastS" in range ? [present - range.lastS * 1000, present] : [range.start, range.end]
  return { start: new Date(start).toISOString(), end: new Date(end).toISOString() }
}
