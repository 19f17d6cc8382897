/**
 * What the stream says goes into the query cache, so that REST and live data are one truth.
 *
 * Known rows are changed where they stand; counts and orders, which a message cannot know, are read anew, at most once
 * in `CALM_MS`, so that ten thousand alerts in ten seconds cost a handful of requests. What is being read is left to end.
 */
import type { InfiniteData, InvalidateQueryFilters, Query, QueryClient } from "@tanstack/react-query"
import { setSkew } from "@/words/times"
import { reach } from "./client"
import { keys } from "./queries"
import type {
  AlertPage,
  ChangedAlert,
  DeviceColumns,
  DeviceDetail,
  DeviceItem,
  DevicePage,
  FleetSummary,
  ServerMessage,
} from "./schema"
import type { LiveStream } from "./stream"

export const CALM_MS = 1500
const MAP_MS = 5000
/** What is known of one device and changes with its alerts: the first words of its keys. */
const DEVICE_NOUNS = new Set<unknown>([keys.device(""), keys.events("")].map(([noun]) => noun))

/** Let `stream` write into `cache`; answers how to stop. */
export function bindStream(stream: LiveStream, cache: QueryClient): () => void {
  const readAnew = rereader(cache)
  const touched = new Set<unknown>()
  const alertLists = calmly(CALM_MS, () => readAnew({ queryKey: keys.alertLists }))
  const devices = calmly(CALM_MS, () => {
    const ids = new Set(touched)
    touched.clear()
    readAnew({ predicate: ({ queryKey: [noun, id] }) => DEVICE_NOUNS.has(noun) && ids.has(id) })
  })
  const fleetMap = calmly(MAP_MS, () =>
    cache.invalidateQueries({ queryKey: keys.map, exact: true }, { cancelRefetch: false }),
  )
  const stopListening = stream.listen((message) => {
    setSkew(stream.skew)
    apply(message, cache, {
      alertLists: alertLists.ask,
      fleetMap: fleetMap.ask,
      device: (id) => {
        touched.add(id)
        devices.ask()
      },
    })
  })
  return () => {
    stopListening()
    alertLists.cancel()
    devices.cancel()
    fleetMap.cancel()
  }
}

interface Refresh {
  readonly alertLists: () => void
  readonly fleetMap: () => void
  readonly device: (id: string) => void
}

/** Put one message into the cache. */
export function apply(message: ServerMessage, cache: QueryClient, refresh: Refresh): void {
  switch (message.type) {
    case "data_update":
      if (message.data.fleet) {
        cache.setQueryData<FleetSummary>(keys.summary, message.data.fleet)
        refresh.fleetMap()
      }
      if (message.data.devices) putColumns(cache, message.data.devices)
      return
    case "NEW_ALERT":
      reach("stream", message.cursor)
      refresh.alertLists()
      refresh.device(message.data.device_id)
      return
    case "ALERT_CHANGED":
      reach("stream", message.cursor)
      putAlert(cache, message.data)
      refresh.alertLists()
      refresh.device(message.data.device_id)
      return
    case "gap":
      cache.invalidateQueries()
      return
    case "hello":
      // What was raised before is not told any more, and what was read before may lack it.
      reach("stream", message.cursor)
      refresh.alertLists()
      return
    case "heartbeat":
      return
  }
}

/** Change the rows of `columns` in every list and page that shows them. */
function putColumns(cache: QueryClient, columns: DeviceColumns): void {
  const rows = rowsOf(columns)
  if (rows.size === 0) return
  for (const [id, row] of rows) {
    cache.setQueryData<DeviceDetail>(keys.device(id), (device) => device && mergeDevice(device, row))
  }
  const freshen = (page: DevicePage): DevicePage => {
    if (!page.items.some(({ id }) => rows.has(id))) return page
    return { ...page, items: page.items.map((item) => mergeItem(item, rows.get(item.id))) }
  }
  cache.setQueriesData<DevicePage>({ queryKey: keys.deviceLists }, (data) => data && freshen(data))
}

type Row = Pick<DeviceItem, "status" | "health" | "anomaly_score" | "alerts" | "event_time"> & {
  readonly values: Readonly<Record<string, number | null>>
}

/** Columns turned into rows by id; times as everywhere else. */
export function rowsOf({ id, values, ...columns }: DeviceColumns): Map<string, Row> {
  const channels = Object.entries(values)
  return new Map(
    id.map((each, i) => {
      const at = columns.event_time[i]
      const row: Row = {
        status: columns.status[i] ?? "silent",
        health: columns.health[i] ?? null,
        anomaly_score: columns.anomaly_score[i] ?? null,
        alerts: columns.alerts[i] ?? 0,
        event_time: at === null || at === undefined ? null : new Date(at).toISOString(),
        values: Object.fromEntries(channels.map(([name, column]) => [name, column[i] ?? null])),
      }
      return [each, row]
    }),
  )
}

function mergeItem(item: DeviceItem, row: Row | undefined): DeviceItem {
  if (!row) return item
  const { values: _, ...known } = row
  return { ...item, ...known }
}

/** A device's page holds its alerts in full; the stream only counts them, so those stay as read. */
function mergeDevice(device: DeviceDetail, { values, alerts: _, ...known }: Row): DeviceDetail {
  const merged = { ...device.values }
  for (const [channel, value] of Object.entries(values)) {
    const before = merged[channel]
    if (before && value !== null && value !== before.value)
      merged[channel] = { ...before, value, time: known.event_time ?? before.time }
  }
  return { ...device, ...known, values: merged }
}

/** What is now known of an alert. Without a state too many changed at once: the lists are read anew anyway. */
function putAlert(cache: QueryClient, { event: _, ...changed }: ChangedAlert): void {
  const known = Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== undefined))
  const freshen = (page: AlertPage): AlertPage => {
    if (changed.state === null || !page.items.some(({ id }) => id === changed.id)) return page
    return {
      ...page,
      items: page.items.map((item) => (item.id === changed.id ? { ...item, ...known } : item)),
    }
  }
  cache.setQueriesData<InfiniteData<AlertPage> | AlertPage>({ queryKey: keys.alertLists }, (data) => {
    if (!data) return data
    return "pages" in data ? { ...data, pages: data.pages.map(freshen) } : freshen(data)
  })
}

/**
 * How to have queries read anew without throwing away what is being read: in a flood a long list would never come. Such a
 * reading may have begun before what is now known, so once it has ended it is done once more.
 */
export function rereader(cache: QueryClient): (filters: InvalidateQueryFilters) => void {
  const due = new Set<Query>()
  return (filters) => {
    const busy = cache.getQueryCache().findAll({ ...filters, type: "active", fetchStatus: "fetching" })
    cache.invalidateQueries(filters, { cancelRefetch: false })
    for (const query of busy) {
      if (due.has(query)) continue
      due.add(query)
      const only = { predicate: (each: Query) => each === query }
      // This joins the reading under way.
      cache.refetchQueries(only, { cancelRefetch: false }).then(() => {
        due.delete(query)
        cache.invalidateQueries(only, { cancelRefetch: false })
      })
    }
  }
}

/** Do `act` when asked, at once if it has been calm, else once when the time is up. */
export function calmly(periodMs: number, act: () => void): { ask: () => void; cancel: () => void } {
  let due: ReturnType<typeof setTimeout> | undefined
  let last = Number.NEGATIVE_INFINITY
  const run = () => {
    due = undefined
    last = performance.now()
    act()
  }
  return {
    ask: () => {
      if (due !== undefined) return
      const wait = last + periodMs - performance.now()
      if (wait <= 0) run()
      else due = setTimeout(run, wait)
    },
    cancel: () => clearTimeout(due),
  }
}
