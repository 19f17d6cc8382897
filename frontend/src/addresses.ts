/** What the addresses of the pages may hold. Anything else in them is left out, so that an old link still opens. */

export interface DeviceListSearch {
  readonly filter?: string
  readonly q?: string
  readonly sort?: string
  readonly site?: string
  readonly type?: string
  readonly status?: string
  /** Columns not shown. */
  readonly hide?: string
}

export interface DeviceSearch {
  readonly range?: "1h" | "24h" | "7d" | "30d"
  /** Epoch ms; both or none. */
  readonly start?: number
  readonly end?: number
}

export const ALERT_TABS = ["unacknowledged", "active", "shelved", "suppressed", "out_of_service"] as const
export type AlertTab = (typeof ALERT_TABS)[number]

export interface AlertSearch {
  readonly tab?: AlertTab
  readonly priority?: string
  readonly device?: string
  readonly type?: string
  readonly site?: string
}

type Raw = Readonly<Record<string, unknown>>

export function deviceListSearch(raw: Raw): DeviceListSearch {
  return kept({
    filter: text(raw.filter),
    q: text(raw.q),
    sort: text(raw.sort),
    site: text(raw.site),
    type: text(raw.type),
    status: text(raw.status),
    hide: text(raw.hide),
  })
}

export function deviceSearch(raw: Raw): DeviceSearch {
  const [start, end] = [Number(raw.start), Number(raw.end)]
  if (raw.start !== undefined && Number.isFinite(start) && end > start) return { start, end }
  return kept({ range: oneOf(["1h", "24h", "7d", "30d"] as const, raw.range) })
}

export function alertSearch(raw: Raw): AlertSearch {
  return kept({
    tab: oneOf(ALERT_TABS, raw.tab),
    priority: oneOf(["critical", "high", "medium", "low"] as const, raw.priority),
    device: text(raw.device),
    type: text(raw.type),
    site: text(raw.site),
  })
}

function text(value: unknown): string | undefined {
  if (typeof value === "number" || typeof value === "boolean") return String(value)
  return typeof value === "string" && value !== "" ? value : undefined
}

function oneOf<T extends string>(choices: readonly T[], value: unknown): T | undefined {
  return choices.find((choice) => choice === value)
}

function kept<T extends object>(search: T): T {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined)) as T
}
