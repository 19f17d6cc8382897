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
