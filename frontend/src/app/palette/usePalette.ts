/** Everything that can be reached or done by its name: pages, devices, alerts that wait, saved views, and the reader's choices. */
import { useQuery } from "@tanstack/react-query"
import { useNavigate } from "@tanstack/react-router"
import { useDeferredValue } from "react"
import { ADMIN_PARTS, NOTIFICATION_TABS } from "@/addresses"
import { reaches } from "@/api/accounts"
import { useAlertCommand } from "@/api/commands"
import { fewAlertsQuery, fewDevicesQuery, UNACKNOWLEDGED } from "@/api/queries"
import type { AlertItem } from "@/api/schema"
import { useMe } from "@/api/session"
import { deviceViewsQuery } from "@/api/views"
import { alertText } from "@/components/alertText"
import { isFilter } from "@/components/filterline/completion"
import { notify } from "@/components/notices"
import { searchOf } from "@/features/devices/views"
import { LANGUAGES } from "@/words/languages"
import { DENSITIES, type Preferences, prefer, SCHEMES, usePreferences } from "@/words/preferences"
import { type Phrase, say } from "@/words/say"
import { UNIT_SYSTEMS } from "@/words/units"
import { matching } from "./matching"

export interface Item {
  readonly id: string
  readonly label: string
  readonly hint?: string
  readonly words?: string
  readonly run: () => void
}

export interface Group {
  readonly title: Phrase
  readonly items: readonly Item[]
}

const DEVICES = 6
/** Of the alerts that wait, the newest so many are looked through. */
const ALERTS = 50
/** Of what there may be many of, so many are offered. */
const OFFERED = 6

export function usePalette(typed: string): {
  readonly groups: readonly Group[]
  readonly isSearching: boolean
} {
  const text = typed.trim()
  const q = useDeferredValue(isFilter(text) ? "" : text)
  const devices = useDevices(q)
  const groups: readonly Group[] = [
    { title: "palette.pages", items: matching(usePages(), text) },
    { title: "palette.devices", items: devices.items },
    { title: "palette.views", items: matching(useViews(), text).slice(0, OFFERED) },
    { title: "palette.alerts", items: matching(useAlerts(), text).slice(0, OFFERED) },
    { title: "palette.choices", items: matching(useChoices(), text) },
    { title: "palette.list", items: useLists(text) },
  ]
  return { groups: groups.filter(({ items }) => items.length > 0), isSearching: devices.isSearching }
}

/** The pages that the reader's role has. */
function usePages(): Item[] {
  const navigate = useNavigate()
  const role = useMe()?.role
  const page = (label: Phrase, run: () => void): Item => ({ id: `page ${label}`, label: say(label), run })
  return [
    page("pages.overview", () => navigate({ to: "/" })),
    page("pages.devices", () => navigate({ to: "/devices" })),
    page("pages.alerts", () => navigate({ to: "/alerts" })),
    page("pages.recommendations", () => navigate({ to: "/recommendations" })),
    page("pages.whatif", () => navigate({ to: "/whatif" })),
    page("pages.models", () => navigate({ to: "/models" })),
    page("pages.settings", () => navigate({ to: "/settings" })),
    ...(reaches(role, "operator")
      ? NOTIFICATION_TABS.map((tab) => ({
          ...page(`notifications.tabs.${tab}`, () => navigate({ to: "/notifications", search: { tab } })),
          hint: say("pages.notifications"),
          words: say("pages.notifications"),
        }))
      : []),
    ...(reaches(role, "engineer")
      ? ADMIN_PARTS.filter((part) => part !== "audit" || role === "admin").map((part) => ({
          ...page(`admin.parts.${part}`, () => navigate({ to: `/admin/${part}` })),
          hint: say("pages.admin"),
          words: say("pages.admin"),
        }))
      : []),
  ]
}

/** Devices whose id or name holds the words. */
function useDevices(q: string): { readonly items: Item[]; readonly isSearching: boolean } {
  const navigate = useNavigate()
  const isAsked = q.length > 1
  const { data, isFetching } = useQuery({ ...fewDevicesQuery({ q }, DEVICES), enabled: isAsked })
  const found = isAsked ? (data?.items ?? []) : []
  const items = found.map(({ id, name, type, site }) => ({
    id: `device ${id}`,
    label: name && name !== id ? `${id}, ${name}` : id,
    hint: [type, site].filter(Boolean).join(" · "),
    run: () => navigate({ to: "/devices/$id", params: { id } }),
  }))
  return { items, isSearching: isAsked && isFetching }
}

/** The list of devices that the text filters or searches. */
function useLists(text: string): Item[] {
  const navigate = useNavigate()
  if (text === "") return []
  const filters = isFilter(text)
  return [
    {
      id: "list",
      label: say(filters ? "search.filterFor" : "search.searchFor", { text }),
      run: () => navigate({ to: "/devices", search: filters ? { filter: text } : { q: text } }),
    },
  ]
}

function useViews(): Item[] {
  const navigate = useNavigate()
  const views = useQuery(deviceViewsQuery).data?.items ?? []
  return views.map((view) => ({
    id: `view ${view.id}`,
    label: view.name,
    hint: view.mine ? undefined : say("views.sharedBy", { owner: view.owner }),
    run: () => navigate({ to: "/devices", search: searchOf(view) }),
  }))
}

/** What can be done about the alerts that wait. */
function useAlerts(): Item[] {
  const role = useMe()?.role
  const command = useAlertCommand()
  const waiting = useQuery(fewAlertsQuery({ state: UNACKNOWLEDGED }, ALERTS)).data?.items ?? []
  if (!reaches(role, "operator")) return []
  // The palette is gone by the time of the answer, and with it what `mutate` would call back.
  const acknowledge = async (alert: AlertItem) => {
    const { refused } = await command.mutateAsync({ command: "acknowledge", alerts: [alert] })
    const reason = refused[0]?.reason
    if (reason === undefined) notify({ text: say("alerts.done.acknowledge", { n: 1, shown: "1" }) })
    else notify({ text: say("alerts.failed", { n: 1, shown: "1", reason }), failed: true })
  }
  return waiting.map((alert) => ({
    id: `acknowledge ${alert.id}`,
    label: say("palette.acknowledge", { alert: alertText(alert), device: alert.device_id }),
    hint: say(`priority.${alert.priority}`),
    run: () => void acknowledge(alert),
  }))
}

/** Theme, rows, language, units and sound; what is chosen already is not offered. */
function useChoices(): Item[] {
  const now = usePreferences()
  const choice = <K extends keyof Preferences>(key: K, value: Preferences[K], label: string): Item[] =>
    now[key] === value ? [] : [{ id: `${key} ${value}`, label, run: () => prefer({ [key]: value }) }]
  return [
    ...SCHEMES.flatMap((scheme) =>
      choice("scheme", scheme, `${say("settings.scheme")}: ${say(`settings.schemes.${scheme}`)}`),
    ),
    ...DENSITIES.flatMap((density) =>
      choice("density", density, `${say("settings.density")}: ${say(`settings.densities.${density}`)}`),
    ),
    ...Object.entries(LANGUAGES).flatMap(([tag, name]) =>
      choice("language", tag, `${say("settings.language")}: ${name}`),
    ),
    ...UNIT_SYSTEMS.flatMap((units) =>
      choice("units", units, `${say("settings.units")}: ${say(`settings.unitSystems.${units}`)}`),
    ),
    ...choice("muted", !now.muted, say(now.muted ? "palette.unmute" : "palette.mute")),
  ]
}
