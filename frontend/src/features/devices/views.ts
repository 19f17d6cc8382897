/** A saved view and the address that shows it: the same list, told in two ways. */
import type { DeviceListSearch } from "@/addresses"
import type { ViewFields, ViewItem } from "@/api/schema"
import { filterOf } from "./filterOf"

/** The columns of the device list that can be hidden, in their order. */
export const COLUMN_IDS = [
  "name",
  "type",
  "site",
  "parent",
  "health",
  "anomaly",
  "fails",
  "left",
  "like",
  "patterns",
  "alerts",
  "status",
  "eventTime",
  "heardAt",
] as const
/** Those that are hidden as long as nobody has chosen. */
export const DEFAULT_HIDDEN: readonly string[] = ["name", "parent", "anomaly", "left", "like", "heardAt"]

/** Which columns an address leaves out. */
export function hiddenIn({ hide }: DeviceListSearch): ReadonlySet<string> {
  return new Set(hide?.split(",") ?? DEFAULT_HIDDEN)
}

/** The address that shows a view. Columns that this app does not have are left out. */
export function searchOf({ filter, search, sort, columns }: ViewItem): DeviceListSearch {
  const hide = COLUMN_IDS.filter((id) => !columns.includes(id)).join(",") || "none"
  return {
    ...(filter ? { filter } : {}),
    ...(search ? { q: search } : {}),
    ...(sort ? { sort } : {}),
    ...(columns.length > 0 ? { hide } : {}),
  }
}

/** What an address shows, to be kept as a view. */
export function viewOf(search: DeviceListSearch): Pick<ViewFields, "filter" | "search" | "sort" | "columns"> {
  const hidden = hiddenIn(search)
  return {
    filter: filterOf(search) ?? "",
    search: search.q ?? "",
    sort: search.sort ?? "",
    columns: search.hide === undefined ? [] : COLUMN_IDS.filter((id) => !hidden.has(id)),
  }
}

/** Whether an address shows what a view says. */
export function shows(search: DeviceListSearch, view: ViewItem): boolean {
  const { filter, search: q, sort, columns } = view
  return JSON.stringify(viewOf(search)) === JSON.stringify({ filter, search: q, sort, columns })
}
