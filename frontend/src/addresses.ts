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
  /** The place in the list that stands first in view, from 1. */
  readonly row?: number
}

export interface DeviceSearch {
  readonly range?: "1h" | "24h" | "7d" | "30d"
  /** Epoch ms; both or none. */
  readonly start?: number
  readonly end?: number
}

export const ALERT_TABS = ["unacknowledged", "active", "shelved", "suppressed", "out_of_service"] as const
export type AlertTab = (typeof ALERT_TABS)[number]

export const ALERT_GROUPS = ["none", "cause", "rule", "type", "site"] as const

export interface AlertSearch {
  readonly tab?: AlertTab
  readonly priority?: string
  readonly device?: string
  readonly type?: string
  readonly site?: string
  readonly rule?: string
  /** Left out: every alert by itself, in a flood by cause. */
  readonly group?: (typeof ALERT_GROUPS)[number]
}

export const DECISIONS = ["open", "accepted", "dismissed", "done"] as const
export const CONFIDENCES = ["likely", "possible", "doubtful", "unknown"] as const
export const ADVICE_ORDERS = ["urgency", "stake", "due"] as const

export interface AdviceSearch {
  /** Left out: what is open or accepted. */
  readonly decision?: (typeof DECISIONS)[number]
  readonly confidence?: (typeof CONFIDENCES)[number]
  readonly device?: string
  readonly type?: string
  readonly site?: string
  readonly sort?: (typeof ADVICE_ORDERS)[number]
  /** The recommendation that is opened. */
  readonly shown?: string
}

export const KPI_HOURS = [1, 8, 24, 168, 720] as const

export interface AlertKpiSearch {
  readonly hours?: (typeof KPI_HOURS)[number]
  /** Of devices: the operator position that is looked at. */
  readonly filter?: string
}

export const JOURNAL_RANGES = ["1h", "24h", "7d", "30d"] as const

export interface JournalSearch {
  readonly range?: (typeof JOURNAL_RANGES)[number]
  readonly priority?: string
  readonly device?: string
  readonly rule?: string
  readonly filter?: string
  readonly kind?: string
  /** Epoch ms; both or none, instead of a range. */
  readonly start?: number
  readonly end?: number
}

export interface RulesSearch {
  /** The rule that is looked at. */
  readonly rule?: string
  /** The job that rehearses other rules with all devices. */
  readonly rehearsal?: string
}

export const NOTIFICATION_TABS = ["routes", "channels", "deliveries"] as const
export const DELIVERY_STATES = ["waiting", "delivered", "failed"] as const

export interface NotificationSearch {
  readonly tab?: (typeof NOTIFICATION_TABS)[number]
  /** Of the deliveries shown. */
  readonly state?: (typeof DELIVERY_STATES)[number]
}

export const ADMIN_PARTS = ["people", "types", "jobs", "system", "audit"] as const

export interface AuditSearch {
  readonly by?: string
  readonly what?: string
  readonly subject?: string
}

/** Two versions of a part of a type, held against each other. */
export interface TypeSearch {
  readonly part?: "type" | "rules"
  readonly first?: number
  readonly second?: number
}

export interface ModelSearch {
  /** How far ahead the forecasts reach whose reliability is shown, h. */
  readonly horizon?: number
  /** The job that reports what all alerts would have been with this version. */
  readonly report?: string
}

export interface ScenarioSearch {
  /** What it begins from: a template or an experiment, by name or id. */
  readonly template?: string
  readonly from?: string
  /** The filter of the devices that it is about. */
  readonly devices?: string
  readonly tab?: "text"
}

export interface ExperimentSearch {
  /** The metric and the group whose course is drawn. */
  readonly metric?: string
  readonly group?: string
  /** Left out: each arm by itself. */
  readonly drawn?: "together"
  /** The experiment that it is held against. */
  readonly against?: string
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
    row: isCount(Number(raw.row)) ? Number(raw.row) : undefined,
  })
}

export function deviceSearch(raw: Raw): DeviceSearch {
  return spanOf(raw) ?? kept({ range: oneOf(["1h", "24h", "7d", "30d"] as const, raw.range) })
}

export function alertSearch(raw: Raw): AlertSearch {
  return kept({
    tab: oneOf(ALERT_TABS, raw.tab),
    priority: oneOf(["critical", "high", "medium", "low"] as const, raw.priority),
    device: text(raw.device),
    type: text(raw.type),
    site: text(raw.site),
    rule: text(raw.rule),
    group: oneOf(ALERT_GROUPS, raw.group),
  })
}

export function adviceSearch(raw: Raw): AdviceSearch {
  return kept({
    decision: oneOf(DECISIONS, raw.decision),
    confidence: oneOf(CONFIDENCES, raw.confidence),
    device: text(raw.device),
    type: text(raw.type),
    site: text(raw.site),
    sort: oneOf(ADVICE_ORDERS, raw.sort),
    shown: text(raw.shown),
  })
}

export function alertKpiSearch(raw: Raw): AlertKpiSearch {
  return kept({ hours: KPI_HOURS.find((hours) => hours === Number(raw.hours)), filter: text(raw.filter) })
}

export function journalSearch(raw: Raw): JournalSearch {
  return kept({
    range: oneOf(JOURNAL_RANGES, raw.range),
    priority: oneOf(["critical", "high", "medium", "low"] as const, raw.priority),
    device: text(raw.device),
    rule: text(raw.rule),
    filter: text(raw.filter),
    kind: text(raw.kind),
    ...spanOf(raw),
  })
}

export function rulesSearch(raw: Raw): RulesSearch {
  return kept({ rule: text(raw.rule), rehearsal: text(raw.rehearsal) })
}

/** A stretch of time with both its ends; nothing where one is missing or they are the wrong way round. */
function spanOf(raw: Raw): { start: number; end: number } | undefined {
  const [start, end] = [Number(raw.start), Number(raw.end)]
  return raw.start !== undefined && Number.isFinite(start) && end > start ? { start, end } : undefined
}

export function notificationSearch(raw: Raw): NotificationSearch {
  return kept({ tab: oneOf(NOTIFICATION_TABS, raw.tab), state: oneOf(DELIVERY_STATES, raw.state) })
}

export function auditSearch(raw: Raw): AuditSearch {
  return kept({ by: text(raw.by), what: text(raw.what), subject: text(raw.subject) })
}

export function typeSearch(raw: Raw): TypeSearch {
  const [first, second] = [Number(raw.first), Number(raw.second)]
  const part = oneOf(["type", "rules"] as const, raw.part)
  return part && isCount(first) && isCount(second) ? { part, first, second } : {}
}

export function modelSearch(raw: Raw): ModelSearch {
  return kept({
    horizon: isCount(Number(raw.horizon)) ? Number(raw.horizon) : undefined,
    report: text(raw.report),
  })
}

export function scenarioSearch({ template, from, devices, tab }: Raw): ScenarioSearch {
  return kept({
    template: text(template),
    from: text(from),
    devices: text(devices),
    tab: oneOf(["text"] as const, tab),
  })
}

export function experimentSearch({ metric, group, drawn, against }: Raw): ExperimentSearch {
  return kept({
    metric: text(metric),
    group: text(group),
    drawn: oneOf(["together"] as const, drawn),
    against: text(against),
  })
}

function isCount(n: number): boolean {
  return Number.isInteger(n) && n >= 1
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
