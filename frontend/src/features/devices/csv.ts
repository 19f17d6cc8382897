/** Devices as comma-separated values (RFC 4180), with a mark by which spreadsheets know UTF-8. */
import type { DeviceItem } from "@/api/schema"

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

const END = "\r\n"

/** The first line: the names that the API has for what follows. */
export const CSV_HEAD = `\ufeff${FIELDS.join(",")}${END}`

export function csvOf(devices: readonly DeviceItem[]): string {
  return devices.map((device) => FIELDS.map((field) => cell(device[field])).join(",") + END).join("")
}

function cell(value: string | number | readonly string[] | null): string {
  if (value === null) return ""
  if (typeof value === "number") return String(value)
  const text = typeof value === "string" ? harmless(value) : value.join(" ")
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** A spreadsheet takes a text that begins so for a formula, and runs it. */
function harmless(text: string): string {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
}
