/** What the address of the device list narrows to, in the filter grammar. */
import type { DeviceListSearch } from "@/addresses"
import { quote } from "@/components/filterline/completion"

export function filterOf({ filter, site, type, status }: DeviceListSearch): string | undefined {
  const parts = [
    filter ? `(${filter})` : "",
    site ? `site = ${quote(site)}` : "",
    type ? `type = ${quote(type)}` : "",
    status ? `status = ${quote(status)}` : "",
  ].filter(Boolean)
  if (parts.length === 1 && filter) return filter
  return parts.length > 0 ? parts.join(" and ") : undefined
}

/** The same with the words that are searched for, for who takes filters alone. */
export function wholeFilterOf({ q, ...narrowed }: DeviceListSearch): string | undefined {
  if (!q) return filterOf(narrowed)
  const like = quote(`*${q.replace(/[*?\\]/g, "\\$&")}*`)
  const [found, filter] = [`(id like ${like} or name like ${like})`, filterOf(narrowed)]
  return filter ? `${/\sor\s/i.test(filter) ? `(${filter})` : filter} and ${found}` : found
}
