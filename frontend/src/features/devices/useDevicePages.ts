/** A list of any length, of which only what is looked at is read. */
import { useThrottledCallback } from "@mantine/hooks"
import { focusManager, keepPreviousData, useQueries, useQuery, useQueryClient } from "@tanstack/react-query"
import { useCallback, useEffect, useMemo, useState } from "react"
import { DEVICES_PAGE, type DeviceChoice, devicePageQuery, refreshDevicePages } from "@/api/queries"
import type { DeviceItem, DevicePage } from "@/api/schema"
import type { Rows } from "@/components/DataTable"
import { useStable } from "@/components/useStable"

const NEAR = 20
/** While somebody scrolls on, pages are asked for no more often than this, and those passed by are given up. */
const CALM_MS = 120
const REFRESH_MS = 15_000

export function useDevicePages(choice: DeviceChoice) {
  const [numbers, setNumbers] = useState<readonly number[]>([])
  const atTop = numbers.length === 0
  // Read again by age while its top is looked at. Further down that would move what is being read: there the pages in
  // view are read again, from where they begin.
  const top = useQuery({
    ...devicePageQuery(choice, 0),
    placeholderData: keepPreviousData,
    refetchInterval: atTop ? REFRESH_MS : false,
  })
  const others = useQueries({
    queries: numbers.map((number) => devicePageQuery(choice, number)),
    combine: (answers) => answers.map(({ data, isError, refetch }) => ({ data, isError, refetch })),
  })
  useRefreshed(choice, numbers)
  const pages = useMemo(() => {
    const read = new Map<number, DevicePage>()
    if (top.data) read.set(0, top.data)
    for (const [i, { data }] of others.entries()) if (data) read.set(numbers[i] ?? 0, data)
    return read
  }, [top.data, others, numbers])
  const rows = useMemo(() => rowsOf(pages), [pages])
  const failed = others.find(({ isError, data }) => isError && !data)

  const ask = useThrottledCallback((first: number, last: number) => {
    const asked = pagesOf(first - NEAR, last + NEAR, rows.length)
    setNumbers((before) => (before.join() === asked.join() ? before : asked))
  }, CALM_MS)

  return {
    rows,
    isPending: top.isPending,
    isKnown: top.data !== undefined,
    error: top.isError && !top.data ? top.error : null,
    retry: useCallback(() => void top.refetch(), [top.refetch]),
    /** What of the list could not be read: how to try again. */
    tryAgain: failed ? () => void failed.refetch() : null,
    ask,
  }
}

/** Read the pages in view again by age, while somebody can see them. */
function useRefreshed(choice: DeviceChoice, numbers: readonly number[]): void {
  const client = useQueryClient()
  const isAny = numbers.length > 0
  const refresh = useStable(() => {
    if (focusManager.isFocused()) refreshDevicePages(client, choice, numbers)
  })
  useEffect(() => {
    if (!isAny) return
    const timer = setInterval(refresh, REFRESH_MS)
    return () => clearInterval(timer)
  }, [isAny, refresh])
}

/** The pages that hold the places from `first` to `last`, but for the first, which is always read. */
export function pagesOf(first: number, last: number, total: number): number[] {
  const from = Math.max(1, Math.floor(first / DEVICES_PAGE))
  const to = Math.floor(Math.min(last, total - 1) / DEVICES_PAGE)
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i)
}

/** The rows that pages hold. The list is as long as the newest page says, and ends where one has no next. */
export function rowsOf(pages: ReadonlyMap<number, DevicePage>): Rows<DeviceItem> {
  let length = 0
  let asOf = ""
  let end = Number.POSITIVE_INFINITY
  for (const [number, { total, as_of, next, items }] of pages) {
    if ((as_of ?? "") >= asOf) [length, asOf] = [total, as_of ?? ""]
    if (next === null) end = Math.min(end, number * DEVICES_PAGE + items.length)
  }
  return {
    length: Math.min(length, end),
    at: (index) => pages.get(Math.floor(index / DEVICES_PAGE))?.items[index % DEVICES_PAGE],
  }
}
