/** Every question the app asks, with its key in the query cache. The live stream writes under the same keys. */
import { infiniteQueryOptions, keepPreviousData, type QueryClient, queryOptions } from "@tanstack/react-query"
import { now } from "@/words/times"
import { api, ownCursor, segment, told } from "./client"
import type {
  AlertGrouping,
  AlertGroups,
  AlertItem,
  AlertKpis,
  AlertPage,
  ConditionHistory,
  DeviceDetail,
  DeviceHistory,
  DeviceItem,
  DevicePage,
  DevicePrognosis,
  DeviceRecommendations,
  EventCounts,
  EventItem,
  FleetEvents,
  FleetMap,
  FleetSummary,
  MaintenancePage,
  PrognosisHistory,
  TypeInfo,
} from "./schema"

export const keys = {
  me: ["me"],
  accounts: ["accounts"],
  deviceKeys: ["device-keys"],
  audit: ["audit"],
  settings: ["settings"],
  sessions: ["sessions"],
  notifications: ["notifications"],
  ready: ["ready"],
  system: ["system"],
  views: ["views"],
  notesNeeded: ["notes needed"],
  jobs: ["jobs"],
  job: (id: string) => ["jobs", id] as const,
  summary: ["fleet", "summary"],
  map: ["fleet", "map"],
  types: ["types"],
  models: ["models"],
  deviceLists: ["devices"],
  device: (id: string) => ["device", id],
  history: (id: string) => ["history", id],
  events: (id: string) => ["events", id],
  alertLists: ["alerts"],
  recommendations: ["recommendations"],
  alertKpis: ["alert-kpis"],
  journal: ["journal"],
  rules: (type: string) => ["rules", type],
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
  /** Of alerts, in their own grammar. */
  readonly filter?: string
}

/** A span of time: the last so many seconds, or from one moment to another (epoch ms). */
export type Range = { readonly lastS: number } | { readonly start: number; readonly end: number }

const PAGE = 100
/** What the stream does not tell is asked for again so often. */
const FOLLOW_MS = 15_000

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

/** Where a page of a list begins: behind or before a cursor, at an offset, or, without any, at the top. */
export interface PagePlace {
  readonly after?: string
  readonly before?: string
  readonly offset?: number
}

export function devicePage(
  choice: DeviceChoice,
  place: PagePlace,
  limit: number,
  signal: AbortSignal,
): Promise<DevicePage> {
  return api<DevicePage>("/devices", {
    query: { ...choice, limit, ...place, cursor: ownCursor() },
    signal,
  })
}

/** How many devices a page of the device table holds. */
export const DEVICES_PAGE = PAGE

/**
 * A page of the device table by its number. It goes on from the page beside it where that is known, so that nothing is
 * lost or there twice while values move; else the list is entered at an offset.
 */
export function devicePageQuery(choice: DeviceChoice, number: number) {
  return queryOptions({
    queryKey: devicePageKey(choice, number),
    queryFn: ({ client, signal }) => devicePage(choice, placeOf(client, choice, number), PAGE, signal),
  })
}

/**
 * Read pages of the device table again, in their order, so that each goes on from where the one before it ends now. One
 * that could only be entered at an offset stays as it was read: what moved above it would move it under the reader.
 */
export async function refreshDevicePages(
  client: QueryClient,
  choice: DeviceChoice,
  numbers: readonly number[],
): Promise<void> {
  for (const number of numbers) {
    if (placeOf(client, choice, number).offset !== undefined) continue
    const queryKey = devicePageKey(choice, number)
    await client.refetchQueries({ queryKey, exact: true, type: "active" }, { cancelRefetch: false })
  }
}

function devicePageKey(choice: DeviceChoice, number: number) {
  return [...keys.deviceLists, "page", choice, number] as const
}

function placeOf(client: QueryClient, choice: DeviceChoice, number: number): PagePlace {
  if (number === 0) return {}
  const beside = (page: number) => client.getQueryData<DevicePage>(devicePageKey(choice, page))
  const after = beside(number - 1)?.next
  if (after) return { after }
  const before = beside(number + 1)?.previous
  return before ? { before } : { offset: number * PAGE }
}

export function fewDevicesQuery(choice: DeviceChoice, limit: number) {
  return queryOptions({
    queryKey: [...keys.deviceLists, "few", choice, limit],
    queryFn: ({ signal }) =>
      api<DevicePage>("/devices", { query: { ...choice, limit, cursor: ownCursor() }, signal }),
    placeholderData: keepPreviousData,
    refetchInterval: 10_000,
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

/** The forecast of a device as the model in force makes it now. */
export function prognosisQuery(id: string) {
  return queryOptions({
    queryKey: [...keys.device(id), "prognosis"],
    queryFn: ({ signal }) => api<DevicePrognosis>(`/devices/${segment(id)}/prognosis`, { signal }),
    refetchInterval: 60_000,
  })
}

/** The forecasts that a device had. */
export function prognosesQuery(id: string, range: Range) {
  return queryOptions({
    queryKey: [...keys.history(id), "prognoses", range],
    queryFn: ({ signal }) =>
      api<PrognosisHistory>(`/devices/${segment(id)}/prognoses`, { query: bounds(range), signal }),
    placeholderData: keepPreviousData,
    structuralSharing: false,
    refetchInterval: "lastS" in range ? 60_000 : false,
  })
}

/** What happened to a device in a stretch of time, of what charts point out. */
export function rangeEventsQuery(id: string, range: Range) {
  return queryOptions({
    queryKey: [...keys.events(id), range],
    queryFn: ({ signal }) =>
      api<FleetEvents>("/events", {
        query: { device: id, kind: "alert,pattern,maintenance", ...bounds(range), limit: 1000 },
        signal,
      }),
    placeholderData: keepPreviousData,
    refetchInterval: "lastS" in range ? FOLLOW_MS : false,
  })
}

export function maintenanceQuery(id: string) {
  return queryOptions({
    queryKey: [...keys.events(id), "maintenance"],
    queryFn: ({ signal }) =>
      api<MaintenancePage>("/maintenance", { query: { device: id, withdrawn: "true", limit: 20 }, signal }),
    refetchInterval: FOLLOW_MS,
  })
}

export function adviceQuery(id: string) {
  return queryOptions({
    queryKey: [...keys.device(id), "advice"],
    queryFn: ({ signal }) =>
      api<DeviceRecommendations>(`/devices/${segment(id)}/recommendations`, { signal }),
    refetchInterval: 30_000,
  })
}

export function eventsQuery(id: string) {
  return queryOptions({
    queryKey: keys.events(id),
    queryFn: ({ signal }) =>
      api<{ items: EventItem[] }>(`/devices/${segment(id)}/events`, { query: { limit: 200 }, signal }),
    refetchInterval: FOLLOW_MS,
  })
}

/** Alerts are read anew when the stream tells of one, and at least so often. */
const ALERTS_MS = 60_000

export function alertListQuery(choice: AlertChoice) {
  return infiniteQueryOptions({
    queryKey: [...keys.alertLists, choice],
    queryFn: ({ pageParam, signal }) =>
      api<AlertPage>("/alerts", {
        query: { ...choice, limit: PAGE, after: pageParam, cursor: told() },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
    refetchInterval: ALERTS_MS,
  })
}

export function fewAlertsQuery(choice: AlertChoice, limit: number) {
  return queryOptions({
    queryKey: [...keys.alertLists, "few", choice, limit],
    queryFn: ({ signal }) =>
      api<AlertPage>("/alerts", { query: { ...choice, limit, cursor: told() }, signal }),
    placeholderData: keepPreviousData,
    refetchInterval: ALERTS_MS,
  })
}

export function alertGroupsQuery(choice: AlertChoice, by: AlertGrouping) {
  return queryOptions({
    queryKey: [...keys.alertLists, "groups", choice, by],
    queryFn: ({ signal }) =>
      api<AlertGroups>("/alerts/groups", { query: { ...choice, by, cursor: told() }, signal }),
    placeholderData: keepPreviousData,
    refetchInterval: ALERTS_MS,
  })
}

/** How the alerts of the last hours treated the people who answer them; with a filter of devices, those of one position. */
export function alertKpisQuery(hours: number, filter = "") {
  return queryOptions({
    queryKey: [...keys.alertKpis, hours, filter],
    queryFn: ({ signal }) => api<AlertKpis>("/alerts/kpis", { query: { hours, filter }, signal }),
    placeholderData: keepPreviousData,
    refetchInterval: hours > 1 ? 60_000 : 15_000,
  })
}

export interface EventChoice {
  readonly kind?: string
  readonly device?: string
  readonly rule?: string
  readonly priority?: string
  readonly filter?: string
}

/** What happened to all devices, newest first. */
export function journalQuery(choice: EventChoice, range: Range) {
  return infiniteQueryOptions({
    queryKey: [...keys.journal, choice, range],
    queryFn: ({ pageParam, signal }) =>
      api<FleetEvents>("/events", {
        // What comes after the first page was asked for is newer than it: pages go on from there.
        query: { ...choice, ...(pageParam.bounds ?? bounds(range)), limit: PAGE, after: pageParam.after },
        signal,
      }).then((page) => ({ ...page, bounds: pageParam.bounds ?? bounds(range) })),
    initialPageParam: { after: "" } as JournalPlace,
    getNextPageParam: ({ next, bounds }): JournalPlace | undefined =>
      next ? { after: next, bounds } : undefined,
    placeholderData: keepPreviousData,
    // What is new comes at the top; further down it would move what is being read.
    refetchInterval: ({ state: { data } }) =>
      "lastS" in range && (data?.pages.length ?? 0) <= 1 ? FOLLOW_MS : false,
  })
}

/** How much happened of each kind. */
export function eventCountsQuery(range: Range) {
  return queryOptions({
    queryKey: [...keys.journal, "counts", range],
    queryFn: ({ signal }) => api<EventCounts>("/events/counts", { query: bounds(range), signal }),
    placeholderData: keepPreviousData,
    refetchInterval: 30_000,
  })
}

/** What happened to one alert, whichever occurrence, newest first. */
export function alertStoryQuery({ id, device_id, rule, state, comments }: AlertItem) {
  return queryOptions({
    queryKey: [...keys.journal, id, state, comments],
    queryFn: ({ signal }) =>
      api<FleetEvents>("/events", {
        query: { device: device_id, rule, kind: "alert", limit: 6 },
        signal,
      }),
    placeholderData: keepPreviousData,
  })
}

interface JournalPlace {
  readonly after: string
  readonly bounds?: { readonly start: string; readonly end: string }
}

/** The bounds of a range as the API takes them, from the present where it is relative. */
export function bounds(range: Range, present = now()): { start: string; end: string } {
  const [start, end] = "lastS" in range ? [present - range.lastS * 1000, present] : [range.start, range.end]
  return { start: new Date(start).toISOString(), end: new Date(end).toISOString() }
}
