import { QueryClient, QueryObserver } from "@tanstack/react-query"
import { beforeEach, expect, test, vi } from "vitest"
import { ownCursor, told } from "./client"
import { apply, bindStream, CALM_MS, calmly, rereader, rowsOf } from "./live"
import { alertListQuery, devicePageQuery, keys } from "./queries"
import type { AlertItem, DeviceColumns, DeviceDetail, DeviceItem, ServerMessage } from "./schema"
import type { LiveStream } from "./stream"

const refresh = { alertLists: vi.fn(), fleetMap: vi.fn(), device: vi.fn() }
const EVENT = { type: "alert.acknowledged", at: "", recorded_at: "", detail: {} }
let cache: QueryClient

beforeEach(() => {
  cache = new QueryClient()
  refresh.alertLists.mockClear()
  refresh.fleetMap.mockClear()
  refresh.device.mockClear()
})

/** Columns as the socket sends them; what a test does not say is unknown. */
function columns(given: Partial<DeviceColumns> & Pick<DeviceColumns, "id">): DeviceColumns {
  const blank = given.id.map(() => null)
  return {
    alerts: given.id.map(() => 0),
    anomaly_score: blank,
    event_time: blank,
    health: blank,
    status: given.id.map(() => "reporting"),
    values: {},
    ...given,
  }
}

function update(given: Partial<DeviceColumns> & Pick<DeviceColumns, "id">): ServerMessage {
  return { type: "data_update", seq: 1, cursor: "c", data: { devices: columns(given) } }
}

test("columns become rows", () => {
  const rows = rowsOf(columns({ id: ["a", "b"], health: [1, null], values: { flow: [null, 7] } }))
  expect(rows.get("a")).toMatchObject({ health: 1, values: { flow: null } })
  expect(rows.get("b")).toMatchObject({ health: null, values: { flow: 7 } })
})

test("changes known devices where they stand and leaves the others the same objects", () => {
  const { queryKey } = devicePageQuery({ sort: "id" }, 0)
  const untouched = { id: "b", health: 80 } as DeviceItem
  cache.setQueryData(queryKey, {
    items: [{ id: "a", health: 90 } as DeviceItem, untouched],
    total: 2,
    as_of: null,
    next: null,
    previous: null,
    cursor: "c",
  })
  apply(update({ id: ["a", "z"], health: [12, 5] }), cache, refresh)
  const items = cache.getQueryData(queryKey)?.items
  expect(items?.[0]?.health).toBe(12)
  expect(items?.[1]).toBe(untouched)
  expect(items).toHaveLength(2)
})

test("a device's page keeps its patterns and alerts, which the stream only names", () => {
  const device = {
    id: "a",
    health: 50,
    patterns: [{ pattern: "drift", channel: "flow" }],
    alerts: [],
    values: { flow: { value: 1, unit: "m3/h", time: null, quality: "GOOD" } },
  } as unknown as DeviceDetail
  cache.setQueryData(keys.device("a"), device)
  const message = update({
    id: ["a"],
    health: [49],
    alerts: [3],
    event_time: [Date.parse("2026-01-01T00:00:00Z")],
    values: { flow: [2] },
  })
  apply(message, cache, refresh)
  const after = cache.getQueryData<DeviceDetail>(keys.device("a"))
  expect(after?.health).toBe(49)
  expect(after?.patterns).toEqual(device.patterns)
  expect(after?.alerts).toEqual([])
  expect(after?.values.flow).toEqual({
    value: 2,
    unit: "m3/h",
    time: "2026-01-01T00:00:00.000Z",
    quality: "GOOD",
  })
})

test("a changed alert changes in every list; a new one asks for the lists anew", () => {
  const { queryKey } = alertListQuery({})
  const alert = { id: "a:r:1", device_id: "a", state: "UNACK" } as AlertItem
  cache.setQueryData(queryKey, {
    pages: [
      {
        items: [alert],
        total: 1,
        counts: { critical: 1, high: 0, medium: 0, low: 0 },
        as_of: null,
        next: null,
        previous: null,
      },
    ],
    pageParams: [""],
  })
  apply(
    { type: "ALERT_CHANGED", seq: 1, cursor: "c", data: { ...alert, state: "ACKED", event: EVENT } },
    cache,
    refresh,
  )
  expect(cache.getQueryData(queryKey)?.pages[0]?.items[0]?.state).toBe("ACKED")
  apply({ type: "NEW_ALERT", seq: 2, cursor: "c", data: { ...alert, id: "a:r:2" } }, cache, refresh)
  expect(refresh.alertLists).toHaveBeenCalledTimes(2)
  expect(refresh.device.mock.calls).toEqual([["a"], ["a"]])
})

test("a gap makes everything be read anew", () => {
  const invalidate = vi.spyOn(cache, "invalidateQueries")
  apply({ type: "gap", seq: 1, missed: 3 }, cache, refresh)
  expect(invalidate).toHaveBeenCalledWith()
})

test("ten thousand alerts ask for the lists a handful of times", () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
  const act = vi.fn()
  const calm = calmly(CALM_MS, act)
  for (let i = 0; i < 10_000; i++) {
    calm.ask()
    vi.advanceTimersByTime(1)
  }
  vi.advanceTimersByTime(CALM_MS)
  expect(act.mock.calls.length).toBeLessThanOrEqual(10_000 / CALM_MS + 2)
  expect(act.mock.calls.length).toBeGreaterThan(5)
  calm.cancel()
  vi.useRealTimers()
})

test("ten thousand messages make the cache look for what is stale a handful of times", () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
  let hear: (message: ServerMessage) => void = () => undefined
  const stream = {
    skew: 0,
    listen: (listener: typeof hear) => {
      hear = listener
      return () => undefined
    },
  } as unknown as LiveStream
  const stop = bindStream(stream, cache)
  for (const id of ["d7", "quiet"]) cache.setQueryData(keys.events(id), { items: [] })
  const invalidate = vi.spyOn(cache, "invalidateQueries")
  for (let i = 0; i < 10_000; i++) {
    const alert = { id: `d${i}:r:1`, device_id: `d${i}` } as never
    hear({ type: "NEW_ALERT", seq: i, cursor: "c", data: alert })
    vi.advanceTimersByTime(1)
  }
  vi.advanceTimersByTime(CALM_MS)
  expect(invalidate.mock.calls.length).toBeLessThanOrEqual(2 * (10_000 / CALM_MS + 2))
  expect(cache.getQueryState(keys.events("d7"))?.isInvalidated).toBe(true)
  expect(cache.getQueryState(keys.events("quiet"))?.isInvalidated).toBe(false)
  stop()
  vi.useRealTimers()
})

test("what is being read is left to end, and is then read once more, however often that was asked for", async () => {
  const readings: { signal: AbortSignal; end: (data: string) => void }[] = []
  const query = {
    queryKey: keys.alertLists,
    queryFn: ({ signal }: { signal: AbortSignal }) =>
      new Promise<string>((end) => readings.push({ signal, end })),
  }
  cache.setQueryData(query.queryKey, "old")
  const stop = new QueryObserver(cache, { ...query, staleTime: 60_000 }).subscribe(() => undefined)
  const readAnew = rereader(cache)
  readAnew({ queryKey: query.queryKey })
  await vi.waitFor(() => expect(readings).toHaveLength(1))
  for (let i = 0; i < 5; i++) readAnew({ queryKey: query.queryKey })
  expect(readings).toHaveLength(1)
  readings[0]?.end("begun before")
  await vi.waitFor(() => expect(readings).toHaveLength(2))
  expect(readings[0]?.signal.aborted).toBe(false)
  expect(cache.getQueryData(query.queryKey)).toBe("begun before")
  readings[1]?.end("newest")
  await vi.waitFor(() => expect(cache.getQueryData(query.queryKey)).toBe("newest"))
  await vi.waitFor(() => expect(cache.isFetching()).toBe(0))
  expect(readings).toHaveLength(2)
  stop()
})

test("lists of alerts are read no older than what the stream told of them", () => {
  const alert = { id: "a:r:1", device_id: "a" } as never
  apply({ type: "NEW_ALERT", seq: 1, cursor: "c7", data: alert }, cache, refresh)
  expect(told()).toEqual(["c7"])
  expect(ownCursor()).toBeUndefined()
})

test("lists of alerts that were read before the stream began are read again once it has", () => {
  apply({ type: "hello", cursor: "c9" } as ServerMessage, cache, refresh)
  expect(refresh.alertLists).toHaveBeenCalledOnce()
  expect(told()).toContain("c9")
})
