/**
 * What the stream says goes into the query cache, so that REST and live data are one truth.
 *
 * Known rows are changed where they stand; counts and orders, which a message cannot know, are read anew, at most once
 * in `CALM_MS`, so that ten thousand alerts in ten seconds cost a handful of requests.
 */
import type { InfiniteData, QueryClient } from "@tanstack/react-query"
import { setSkew } from "@/words/times"
import { keys, sameAlert } from "./queries"
import type {
  Alert,
  AlertPage,
  Device,
  DeviceColumns,
  DeviceItem,
  DevicePage,
  FleetSummary,
  StreamMessage,
} from "./schema"
import type { LiveStream } from "./stream"

export const CALM_MS = 1500
const MAP_MS = 5000

/** Let `stream` write into `cache`; answers how to stop. */
export function bindStream(stream: LiveStream, cache: QueryClient): () => void {
  const alertLists = calmly(CALM_MS, () => cache.invalidateQueries({ queryKey: keys.alertLists }))
  const fleetMap = calmly(MAP_MS, () => cache.invalidateQueries({ queryKey: keys.map, exact: true }))
  const stopListening = stream.listen((message) => {
    setSkew(stream.skew)
    apply(message, cache, { alertLists: alertLists.ask, fleetMap: fleetMap.ask })
  })
  return () => {
    stopListening()
    alertLists.cancel()
    fleetMap.cancel()
  }
}

interface Refresh {
  readonly alertLists: () => void
  readonly fleetMap: () => void
}

/** Put one message into the cache. */
export function apply(message: StreamMessage, cache: QueryClient, refresh: Refresh): void {
  switch (message.type) {
    case "data_update":
      if (message.data.fleet) {
        cache.setQueryData<FleetSummary>(keys.summary, message.data.fleet)
        refresh.fleetMap()
      }
      if (message.data.devices) putColumns(cache, message.data.devices)
      return
    case "NEW_ALERT":
      refresh.alertLists()
      cache.invalidateQueries({ queryKey: keys.events(message.data.device_id) })
      return
    case "ALERT_CHANGED":
      putAlert(cache, message.data)
      refresh.alertLists()
      return
    case "gap":
      cache.invalidateQueries()
      return
    case "hello":
    case "heartbeat":
      return
  }
}

/** Change the rows of `columns` in every list and page that shows them. */
function putColumns(cache: QueryClient, columns: DeviceColumns): void {
  const rows = rowsOf(columns)
  if (rows.size === 0) return
  for (const [id, row] of rows) {
    cache.setQueryData<Device>(keys.device(id), (device) => device && mergeDevice(device, row))
  }
  const freshen = (page: DevicePage): DevicePage => {
    if (!page.items.some(({ id }) => rows.has(id))) return page
    return { ...page, items: page.items.map((item) => mergeItem(item, rows.get(item.id))) }
  }
  cache.setQueriesData<InfiniteData<DevicePage> | DevicePage>({ queryKey: keys.deviceLists }, (data) => {
    if (!data) return data
    return "pages" in data ? { ...data, pages: data.pages.map(freshen) } : freshen(data)
  })
}

type Row = Record<string, unknown>

/** Columns turned into rows by id. */
export function rowsOf(columns: DeviceColumns): Map<string, Row> {
  const names = Object.keys(columns).filter((name) => name !== "id" && Array.isArray(columns[name]))
  return new Map(
    columns.id.map((id, i) => [id, Object.fromEntries(names.map((name) => [name, columns[name]?.[i]]))]),
  )
}

function mergeItem(item: DeviceItem, row: Row | undefined): DeviceItem {
  if (!row) return item
  const { values: _, ...known } = row
  return { ...item, ...known }
}

/** A device's page holds patterns and alerts in full; the stream only names them, so those stay as read. */
function mergeDevice(device: Device, row: Row): Device {
  const { values, patterns: _p, alerts: _a, breakdown: _b, ...known } = row
  const merged: Device = { ...device, ...known }
  if (values && typeof values === "object") merged.values = mergeValues(device, values as Row, row.event_time)
  return merged
}

function mergeValues(device: Device, values: Row, eventTime: unknown): Device["values"] {
  const merged = { ...device.values }
  for (const [channel, told] of Object.entries(values)) {
    const before = merged[channel]
    if (!before) continue
    if (told !== null && typeof told === "object") merged[channel] = { ...before, ...told }
    else if (typeof told === "number" && told !== before.value)
      merged[channel] = {
        ...before,
        value: told,
        time: typeof eventTime === "string" ? eventTime : before.time,
      }
  }
  return merged
}

function putAlert(cache: QueryClient, alert: Alert): void {
  const freshen = (page: AlertPage): AlertPage => {
    if (!page.items.some((item) => sameAlert(item, alert))) return page
    return {
      ...page,
      items: page.items.map((item) => (sameAlert(item, alert) ? { ...item, ...alert } : item)),
    }
  }
  cache.setQueriesData<InfiniteData<AlertPage> | AlertPage>({ queryKey: keys.alertLists }, (data) => {
    if (!data) return data
    return "pages" in data ? { ...data, pages: data.pages.map(freshen) } : freshen(data)
  })
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
