/** The stretch of time that the address names, the history in it, and how to move it. */
import { useQuery } from "@tanstack/react-query"
import { getRouteApi, useNavigate, useRouter } from "@tanstack/react-router"
import { useEffect, useMemo, useState } from "react"
import type { DeviceSearch } from "@/addresses"
import {
  conditionQuery,
  eventsQuery,
  historyQuery,
  prognosesQuery,
  type Range,
  rangeEventsQuery,
} from "@/api/queries"
import type {
  AlertItem,
  DeviceDetail,
  DeviceHistory,
  EventItem,
  PatternItem,
  Priority,
  Series,
  TypeInfo,
} from "@/api/schema"
import { withGaps } from "@/components/gaps"
import type { Moment, Stretch } from "@/components/seriesDrawing"
import { useNow } from "@/components/useNow"
import { parse } from "@/words/times"
import { inShownUnit, shownUnit } from "@/words/units"
import { grown, type Tail, withTail } from "./tail"

export const PRESETS = { "1h": 3600, "24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400 } as const
export type Preset = keyof typeof PRESETS
const POINTS = 700
const LEAST_SPAN_MS = 2000

const route = getRouteApi("/devices/$id")

export function useCharts(device: DeviceDetail, type: TypeInfo | undefined) {
  const search = route.useSearch()
  const navigate = useNavigate({ from: "/devices/$id" })
  const router = useRouter()
  const present = useNow()
  const preset = search.start === undefined ? (search.range ?? presetFor(device.interval_s)) : null
  const range: Range = useMemo(
    () => (preset ? { lastS: PRESETS[preset] } : { start: search.start ?? 0, end: search.end ?? 0 }),
    [preset, search.start, search.end],
  )
  const history = useQuery(historyQuery(device.id, range, POINTS))
  const condition = useQuery(conditionQuery(device.id, range))
  const prognoses = useQuery(prognosesQuery(device.id, range))
  const newest = useQuery(eventsQuery(device.id)).data?.items
  const within = useQuery(rangeEventsQuery(device.id, range)).data?.items
  const events = useMemo(() => together(newest ?? [], within ?? []), [newest, within])

  // A relative range moves with the data, not with the second hand: a chart that creeps is a chart that cannot be read.
  const end = preset
    ? Math.max(parse(history.data?.end) ?? present, parse(device.event_time) ?? 0)
    : (search.end ?? present)
  const start = preset ? end - PRESETS[preset] * 1000 : (search.start ?? end)
  const units = useMemo(() => unitsOf(type), [type])
  const go = (next: DeviceSearch) => navigate({ search: next, resetScroll: false })
  const span = end - start
  const tail = useTail(device)

  return {
    preset,
    start,
    end,
    units,
    channels: useMemo(
      () => channelsOf(history.data, preset ? tail : {}, device.interval_s, units),
      [history.data, preset, tail, device.interval_s, units],
    ),
    bucketS: history.data?.bucket_s ?? null,
    history: history.data,
    isEmpty: history.data?.rows === 0,
    condition: condition.data,
    prognoses: prognoses.data,
    isPending: history.isPending,
    isStale: history.isPlaceholderData,
    error: history.isError && !history.data ? history.error : null,
    retry: () => void history.refetch(),
    moments: useMemo(() => momentsOf(events, device.alerts, type), [events, device.alerts, type]),
    stretches: useMemo(() => stretchesOf(events, device.patterns), [events, device.patterns]),
    choose: (range: Preset) => go({ range }),
    reset: () => go({}),
    zoomTo: (from: number, to: number) => {
      if (to - from >= LEAST_SPAN_MS) go({ start: Math.round(from), end: Math.round(to) })
    },
    back: () => router.history.back(),
    zoomBy: (factor: number) => {
      const middle = (start + end) / 2
      const half = Math.max(LEAST_SPAN_MS, span * factor) / 2
      go({
        start: Math.round(middle - half),
        end: Math.round(Math.min(middle + half, Math.max(end, present))),
      })
    },
    shift: (share: number) =>
      go({ start: Math.round(start + span * share), end: Math.round(end + span * share) }),
  }
}

/** The newest events and those of the range, each once. */
export function together(newest: readonly EventItem[], within: readonly EventItem[]): readonly EventItem[] {
  const known = new Map<string, EventItem>()
  for (const event of [...newest, ...within])
    known.set(`${event.recorded_at} ${event.type} ${JSON.stringify(event.detail)}`, event)
  return [...known.values()]
}

const MISSED = 3

/** The unit of each channel of a type, as it is measured. */
function unitsOf(type: TypeInfo | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(type?.channels.map(({ name, unit }) => [name, unit]) ?? [])
}

/** What the stream tells of a device while its page is open. */
function useTail({ id, values }: DeviceDetail): Tail {
  const [{ of, tail }, setTail] = useState<{ of: string; tail: Tail }>({ of: id, tail: {} })
  useEffect(() => {
    const told = Object.fromEntries(
      Object.entries(values).map(([name, { time, value }]) => [name, { at: parse(time), value }]),
    )
    setTail((before) => {
      const after = grown(before.of === id ? before.tail : {}, told)
      return after === before.tail ? before : { of: id, tail: after }
    })
  }, [id, values])
  return of === id ? tail : NOTHING
}

const NOTHING: Tail = {}

/** The series of a history in the reader's units, broken where several readings in a row are missing. */
function channelsOf(
  history: DeviceHistory | undefined,
  tail: Tail,
  intervalS: number | null,
  units: Readonly<Record<string, string>>,
): Record<string, Series> {
  const paceS = Math.max(intervalS ?? 0, history?.bucket_s ?? 0)
  const longestMs = paceS > 0 ? MISSED * paceS * 1000 : Number.POSITIVE_INFINITY
  return Object.fromEntries(
    Object.entries(history?.channels ?? {}).map(([name, series]) => [
      name,
      inShownUnits(withTail(withGaps(series, longestMs), tail[name], longestMs), units[name] ?? ""),
    ]),
  )
}

function inShownUnits({ time, value, min, max }: Series, unit: string): Series {
  if (shownUnit(unit) === unit) return { time, value, min, max }
  const shown = (column: Series["value"]) => column?.map((n) => (n === null ? null : inShownUnit(n, unit)))
  return { time, value: shown(value), min: shown(min), max: shown(max) }
}

/** A range with some hundred readings in it, whatever the device's pace. */
function presetFor(intervalS: number | null): Preset {
  if (intervalS === null || intervalS < 30) return "1h"
  return intervalS < 900 ? "24h" : "7d"
}

/** When alerts were raised, marked by their priority. */
export function momentsOf(
  events: readonly EventItem[],
  standing: readonly AlertItem[],
  type: TypeInfo | undefined,
): Moment[] {
  const priorities = new Map<string, Priority>(type?.rules.map(({ name, priority }) => [name, priority]))
  for (const { rule, priority } of standing) priorities.set(rule, priority)
  const moments = new Map<string, Moment>()
  for (const { type: kind, at, detail } of events) {
    const time = parse(at)
    if (time === null) continue
    if (kind === "alert.raised" || kind === "alert.reraised")
      moments.set(`${detail.rule} ${time}`, {
        at: time,
        priority: priorities.get(String(detail.rule)) ?? "low",
      })
    else if (kind === "maintenance.recorded") moments.set(`${kind} ${time}`, { at: time })
  }
  for (const { rule, since, priority } of standing) {
    const time = parse(since)
    if (time !== null) moments.set(`${rule} ${time}`, { at: time, priority })
  }
  return [...moments.values()]
}

/** When patterns were seen, by channel; those that last go on to the right, those begun earlier come from the left. */
export function stretchesOf(
  events: readonly EventItem[],
  present: readonly PatternItem[],
): ReadonlyMap<string, Stretch[]> {
  const byChannel = new Map<string, Stretch[]>()
  const open = new Map<string, number>()
  const add = (channel: string, stretch: Stretch) =>
    byChannel.set(channel, [...(byChannel.get(channel) ?? []), stretch])
  for (const { type, at, detail } of [...events].sort((a, b) => a.at.localeCompare(b.at))) {
    if (type !== "pattern.started" && type !== "pattern.ended") continue
    const key = `${detail.channel}\n${detail.pattern}`
    const time = parse(at) ?? 0
    const start = open.get(key)
    if (type === "pattern.started") open.set(key, time)
    else {
      add(String(detail.channel), { start: start ?? Number.NEGATIVE_INFINITY, end: time })
      open.delete(key)
    }
  }
  for (const { pattern, channel } of present) {
    const start = open.get(`${channel}\n${pattern}`)
    if (start !== undefined) add(channel, { start, end: Number.POSITIVE_INFINITY })
  }
  return byChannel
}
