/** Always in the same place: the filter line, alerts by priority, whether figures are live, the time and its zone. */
import { useQuery } from "@tanstack/react-query"
import { Link, useNavigate, useRouterState } from "@tanstack/react-router"
import { type RefObject, useDeferredValue, useMemo, useState } from "react"
import type { DeviceListSearch } from "@/addresses"
import { fewDevicesQuery, summaryQuery, typesQuery } from "@/api/queries"
import { useMe } from "@/api/session"
import { behindAt, isDelayed } from "@/api/stream"
import { useStream, useStreamStatus } from "@/api/useStream"
import { FilterLine } from "@/components/filterline/FilterLine"
import { termsOf } from "@/components/filterline/terms"
import { PriorityMark } from "@/components/PriorityMark"
import { PRIORITIES } from "@/components/tokens"
import { useNow } from "@/components/useNow"
import { count } from "@/words/figures"
import { prefer, usePreferences } from "@/words/preferences"
import { say } from "@/words/say"
import { clock, exact, span, zoneName, zoneShort } from "@/words/times"
import css from "./TopBar.module.css"

interface Props {
  readonly searchRef: RefObject<HTMLInputElement | null>
}

export function TopBar({ searchRef }: Props) {
  const me = useMe()
  return (
    <header className={css.bar}>
      <Search searchRef={searchRef} />
      <Marks />
      <Live />
      <Clock />
      <Sound />
      <Link to="/settings" className={css.user} title={say("pages.settings")}>
        {me?.name ?? ""}
      </Link>
    </header>
  )
}

function Search({ searchRef }: { readonly searchRef: Props["searchRef"] }) {
  const navigate = useNavigate()
  const line = useRouterState({
    select: ({ location: { pathname, search } }) => {
      const { filter, q } = search as DeviceListSearch
      return pathname === "/devices" ? (filter ?? q ?? "") : ""
    },
  })
  const [typed, setTyped] = useState("")
  const q = useDeferredValue(typed)
  const { data } = useQuery({ ...fewDevicesQuery({ q }, 6), enabled: q.length > 1 })
  const siteNames =
    useQuery(summaryQuery)
      .data?.sites.map(({ site }) => site)
      .join("\n") ?? ""
  const types = useQuery(typesQuery).data
  const terms = useMemo(() => termsOf(siteNames.split("\n"), types ?? []), [siteNames, types])
  const found =
    q.length > 1
      ? (data?.items ?? []).map(({ id, site, type }) => ({
          key: id,
          label: (
            <>
              <span>{id}</span>
              <span className={css.found}>
                {type}
                {site ? ` · ${site}` : ""}
              </span>
            </>
          ),
        }))
      : []
  return (
    <FilterLine
      inputRef={searchRef}
      value={line}
      terms={terms}
      found={found}
      onType={setTyped}
      onChoose={(id) => navigate({ to: "/devices/$id", params: { id } })}
      onSubmit={(text, filters) =>
        navigate({
          to: "/devices",
          search: ({ sort, hide }: DeviceListSearch) => ({
            sort,
            hide,
            ...(text ? { [filters ? "filter" : "q"]: text } : {}),
          }),
        })
      }
    />
  )
}

function Marks() {
  const { data } = useQuery(summaryQuery)
  if (!data) return <div className={css.marks} />
  const { unacknowledged, ...standing } = data.alerts
  return (
    <nav className={css.marks} aria-label={say("priority.summary", standing)}>
      {PRIORITIES.map((priority) => (
        <Link
          key={priority}
          to="/alerts"
          search={{ tab: "active", priority }}
          className={css.mark}
          data-quiet={standing[priority] === 0}
          aria-label={say("priority.count", { n: standing[priority], priority: say(`priority.${priority}`) })}
          title={`${say("priority.count", { n: count(standing[priority]), priority: say(`priority.${priority}`) })}, ${say("priority.unacknowledged", { n: count(unacknowledged[priority]) })}`}
        >
          <PriorityMark priority={priority} waiting={unacknowledged[priority] > 0} labelled />
          <span>{count(standing[priority])}</span>
        </Link>
      ))}
    </nav>
  )
}

/** Silence for now, where somebody chose to hear alerts at all. */
function Sound() {
  const { sounds, muted } = usePreferences()
  if (sounds.length === 0) return null
  return (
    <button type="button" className={css.user} aria-pressed={muted} onClick={() => prefer({ muted: !muted })}>
      {say(muted ? "sound.muted" : "sound.mute")}
    </button>
  )
}

function Live() {
  const status = useStreamStatus()
  const { phase, retryAt } = status
  const stream = useStream()
  useNow()
  const behindMs = behindAt(status, Date.now())
  const state = phase === "live" ? (isDelayed(behindMs) ? "delayed" : "live") : phase
  const shown = (
    <>
      <span className={css.dot} aria-hidden />
      <span className={css.liveText}>{liveText(state, behindMs, retryAt)}</span>
    </>
  )
  if (phase !== "reconnecting") {
    return (
      <span className={css.live} data-state={state}>
        {shown}
      </span>
    )
  }
  return (
    <button
      type="button"
      className={css.live}
      data-state={state}
      onClick={stream.connectNow}
      title={say("live.tryNow")}
    >
      {shown}
    </button>
  )
}

function liveText(state: string, behindMs: number | null, retryAt: number | null): string {
  if (state === "connecting") return say("live.connecting")
  if (state === "reconnecting") {
    if (!navigator.onLine) return say("live.offline")
    const wait = retryAt === null ? 0 : retryAt - Date.now()
    return wait > 400
      ? say("live.reconnecting", { wait: span(Math.ceil(wait / 1000) * 1000) })
      : say("live.reconnectingNow")
  }
  if (behindMs === null) return say("live.liveUntimed")
  return say(state === "delayed" ? "live.delayed" : "live.live", { behind: span(Math.max(100, behindMs)) })
}

function Clock() {
  const at = useNow()
  return (
    <time className={css.clock} dateTime={new Date(at).toISOString()} title={`${exact(at)} · ${zoneName()}`}>
      {clock(at)} {zoneShort(at)}
    </time>
  )
}
