/** The devices that the address of the page asks for, with those in view kept live. */
import { useQuery } from "@tanstack/react-query"
import { useCallback, useMemo, useState } from "react"
import type { DeviceListSearch } from "@/addresses"
import { type DeviceChoice, summaryQuery } from "@/api/queries"
import type { FleetSummary } from "@/api/schema"
import { useWatch } from "@/api/useStream"
import { filterOf } from "./filterOf"
import { useDevicePages } from "./useDevicePages"

export const DEFAULT_SORT = "health"
const WATCHED = 80

export interface FacetGroup {
  readonly key: "site" | "type" | "status"
  readonly values: readonly { readonly value: string; readonly devices: number }[]
}

export function useDevices(search: DeviceListSearch) {
  const sort = search.sort ?? DEFAULT_SORT
  const choice: DeviceChoice = { filter: filterOf(search), q: search.q, sort }
  const { ask, ...list } = useDevicePages(choice)
  const summary = useQuery(summaryQuery).data
  const [range, setRange] = useState({ first: 0, last: 0 })
  const { rows } = list
  const visible = useMemo(() => {
    const places = Array.from({ length: Math.min(WATCHED, range.last - range.first + 1) }, (_, i) => i)
    return places.flatMap((i) => rows.at(range.first + i)?.id ?? [])
  }, [rows, range])
  useWatch(visible)

  return {
    ...list,
    choice,
    sort,
    /** How many the list has without a filter: also those that are not of the living fleet. */
    all: summary ? summary.devices + summary.retired + summary.importing : null,
    facets: useMemo(() => facetsOf(summary), [summary]),
    /** The place that stands first in view. */
    first: range.first,
    look: useCallback(
      (first: number, last: number) => {
        setRange((before) => (before.first === first && before.last === last ? before : { first, last }))
        ask(first, last)
      },
      [ask],
    ),
  }
}

function facetsOf(summary: FleetSummary | undefined): FacetGroup[] {
  if (!summary) return []
  const { reporting, stale, silent, retired, importing } = summary
  const statuses = Object.entries({ reporting, stale, silent, retired, importing })
  return [
    {
      key: "status",
      values: statuses.filter(([, n]) => n > 0).map(([value, devices]) => ({ value, devices })),
    },
    { key: "type", values: summary.types.map(({ type, devices }) => ({ value: type, devices })) },
    { key: "site", values: summary.sites.map(({ site, devices }) => ({ value: site, devices })) },
  ]
}
