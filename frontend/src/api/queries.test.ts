import { QueryClient, QueryObserver } from "@tanstack/react-query"
import { afterEach, expect, test, vi } from "vitest"
import { setSkew } from "@/words/times"
import { bounds, devicePageQuery, refreshDevicePages } from "./queries"

const T0 = Date.parse("2026-01-01T12:00:00Z")

afterEach(() => {
  setSkew(0)
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

test("the last hour ends now on the server's clock, however wrong this computer's is", () => {
  vi.useFakeTimers({ now: T0 })
  setSkew(600_000)
  expect(bounds({ lastS: 3600 })).toEqual({
    start: "2026-01-01T10:50:00.000Z",
    end: "2026-01-01T11:50:00.000Z",
  })
  expect(bounds({ start: T0 - 1, end: T0 }).end).toBe("2026-01-01T12:00:00.000Z")
})

test("pages in view are read again in turn, each from where the one before it ends now; an offset is left alone", async () => {
  const asked: string[] = []
  const cache = new QueryClient()
  const choice = { sort: "health" }
  const watching = [3, 4, 9].map((number) => {
    const query = devicePageQuery(choice, number)
    const page = { items: [], total: 1000, as_of: null, next: `after ${number}`, previous: null, cursor: "c" }
    cache.setQueryData(query.queryKey, page)
    return new QueryObserver(cache, { ...query, staleTime: 60_000 }).subscribe(() => undefined)
  })
  cache.setQueryData(devicePageQuery(choice, 2).queryKey, {
    items: [],
    total: 1000,
    as_of: null,
    next: "after 2",
    previous: null,
    cursor: "c",
  })
  vi.stubGlobal("fetch", async (address: string) => {
    const { searchParams } = new URL(address, "http://there")
    asked.push(searchParams.get("after") ?? `at ${searchParams.get("offset")}`)
    return Response.json({
      items: [],
      total: 1000,
      as_of: null,
      next: `then ${asked.length}`,
      previous: null,
    })
  })
  await refreshDevicePages(cache, choice, [3, 4, 9])
  expect(asked).toEqual(["after 2", "then 1"])
  for (const stop of watching) stop()
})
