/** Devices as a table in a file: a line a device. */
import type { DeviceItem } from "@/api/schema"
import { csvLine, UTF8_MARK } from "@/components/csv"

const FIELDS = [
  "id",
  "name",
  "type",
  "site",
  "parent",
  "status",
  "health",
  "anomaly_score",
  "patterns",
  "priority",
  "alerts",
  "unacknowledged",
  "p_fail_24h",
  "p_fail_7d",
  "p_fail_30d",
  "rul_p05_h",
  "rul_p50_h",
  "rul_p95_h",
  "like_healthy",
  "failure_mode",
  "event_time",
  "heard_at",
] as const satisfies readonly (keyof DeviceItem)[]

/** The first line: the names that the API has for what follows. */
export const CSV_HEAD = UTF8_MARK + csvLine(FIELDS)

export function csvOf(devices: readonly DeviceItem[]): string {
  return devices
    .map(({ patterns, ...device }) => ({ ...device, patterns: patterns.join(" ") }))
    .map((device) => csvLine(FIELDS.map((field) => device[field])))
    .join("")
}
