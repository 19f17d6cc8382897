/**
 * What the API says and takes. One thing has one name in Python, JSON and here.
 *
 * Times are ISO 8601 UTC; null is unknown.
 */

export type Priority = "critical" | "high" | "medium" | "low"
export type DeviceStatus = "reporting" | "stale" | "silent" | "retired"
export type Quality = "GOOD" | "STALE" | "BAD" | null

export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  code: string
  [fact: string]: unknown
}

export interface Channel {
  name: string
  title: string
  unit: string
  kind: "gauge" | "counter" | "state" | "flag"
  low: number | null
  high: number | null
  resolution: number
  condition: boolean
}

export interface Rule {
  name: string
  title: string
  when: string
  priority: Priority
  consequence: string
  response: string
  latch: boolean
}

export interface DeviceType {
  name: string
  version: number
  title: string
  description: string
  interval_s: number | null
  channels: Channel[]
  rules: Rule[]
  failure_modes: { name: string; title: string }[]
  actions: { name: string; title: string; kind: string; cost: number; duration_h: number }[]
}

/** What a list and a device's own page have in common. */
export interface DeviceState {
  id: string
  type: string
  site: string
  parent: string | null
  name: string
  labels: Record<string, string>
  status: DeviceStatus
  health: number | null
  observed: number | null
  anomaly_score: number | null
  anomalous: boolean
  unacknowledged: number
  priority: Priority | null
  event_time: string | null
  heard_at: string | null
}

export interface DeviceItem extends DeviceState {
  patterns: string[]
  alerts: number
}

export interface DevicePage {
  items: DeviceItem[]
  total: number
  as_of: string | null
  next: string | null
  previous: string | null
}

export interface ChannelValue {
  value: number | null
  unit: string
  time: string | null
  quality: Quality
}

export interface Cost {
  channel: string
  indicator: string
  points: number
}

export interface Pattern {
  pattern: string
  channel: string
  since?: string | null
  size?: number | null
  confidence?: number | null
}

/** Everything known of one device, asked from its shard at this moment. */
export interface Device extends DeviceState {
  patterns: Pattern[]
  alerts: Alert[]
  type_version: number
  values: Record<string, ChannelValue>
  breakdown: Cost[]
  counts: Record<string, number>
  interval_s: number | null
  life_cycle: number
  regime: number
  baseline: { learned: boolean; readings: number }
}

export interface Series {
  /** Epoch ms, rising. */
  time: number[]
  value?: (number | null)[] | null
  min?: (number | null)[] | null
  max?: (number | null)[] | null
}

export interface History {
  start: string
  end: string
  bucket_s: number | null
  rows: number
  channels: Record<string, Series>
}

export interface Condition {
  time: number[]
  health: (number | null)[]
  anomaly_score: (number | null)[]
}

export interface FleetEvent {
  type: string
  device_id?: string
  at: string
  recorded_at: string
  detail: Record<string, unknown>
}

export interface FleetSummary {
  as_of: string | null
  devices: number
  reporting: number
  stale: number
  silent: number
  health: { below_50: number; below_80: number; known: number }
  alerts: Record<Priority, number> & { unacknowledged: Record<Priority, number> }
  readings_per_s: number | null
  retired: number
  site_count: number
  unreachable: number[]
  types: { type: string; devices: number }[]
  sites: { site: string; devices: number }[]
}

export interface FleetMap {
  as_of: string | null
  order: string
  /** `cells`: base64 of one byte a device. */
  sites: { site: string; count: number; cells: string }[]
}

export type AlertState =
  | "NORMAL"
  | "UNACK"
  | "ACKED"
  | "RTN_UNACK"
  | "LATCHED_UNACK"
  | "LATCHED_ACKED"
  | "SHELVED"
  | "SUPPRESSED_BY_DESIGN"
  | "OUT_OF_SERVICE"

export interface Alert {
  id: string
  device_id: string
  type: string
  site: string
  rule: string
  title: string
  priority: Priority
  state: AlertState
  occurrence: number
  since: string
  value: number | null
  limit: number | null
  unit: string
  consequence: string
  response: string
  assignee: string | null
  acknowledged_by: string | null
  shelved_until: string | null
  comments: number
}

export interface AlertPage {
  items: Alert[]
  total: number
  counts: Record<Priority, number>
  as_of: string | null
  next: string | null
}

export type AlertCommand =
  | "acknowledge"
  | "reset"
  | "shelve"
  | "unshelve"
  | "suppress"
  | "unsuppress"
  | "remove-from-service"
  | "return-to-service"
  | "assign"
  | "comment"

export interface AlertOrder {
  note?: string
  duration_s?: number
  one_shot?: boolean
  reason?: string
  assignee?: string
}

export interface MaintenanceEntry {
  kind: "failure" | "repair" | "replacement" | "inspection"
  action?: string
  failure_mode?: string
  note?: string
}

/** Columns of the devices that changed, and that this socket asked for. */
export interface DeviceColumns {
  id: string[]
  [column: string]: unknown[]
}

export type StreamMessage =
  | { type: "hello"; cursor: string; resumed?: boolean }
  | {
      type: "data_update"
      seq: number
      cursor: string
      data: { fleet?: FleetSummary; devices?: DeviceColumns }
    }
  | { type: "NEW_ALERT"; cursor?: string; data: Alert }
  | { type: "ALERT_CHANGED"; cursor?: string; data: Alert }
  | { type: "gap"; missed: number; cursor?: string }
  | { type: "heartbeat"; at: string }
