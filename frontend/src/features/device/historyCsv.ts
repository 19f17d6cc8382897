/** What the charts show as a table in a file: a line a time, a column a channel; two where each bucket has a least and a greatest. */
import type { DeviceHistory, Series, TypeInfo } from "@/api/schema"
import { csvLine } from "@/components/csv"

const COLUMNS = ["value", "min", "max"] as const

export function historyCsv({ channels }: DeviceHistory, type: TypeInfo | undefined): string {
  const columns = Object.entries(channels).flatMap(([name, series]) => columnsOf(name, series, type))
  const times = [...new Set(columns.flatMap(({ cells }) => [...cells.keys()]))].sort((a, b) => a - b)
  const lines = times.map((time) => [
    new Date(time).toISOString(),
    ...columns.map(({ cells }) => cells.get(time)),
  ])
  return [["time", ...columns.map(({ title }) => title)], ...lines].map(csvLine).join("")
}

function columnsOf(name: string, series: Series, type: TypeInfo | undefined) {
  const unit = type?.channels.find((channel) => channel.name === name)?.unit ?? "1"
  const shown = unit === "1" ? "" : ` [${unit}]`
  return COLUMNS.flatMap((column) => {
    const values = series[column]
    if (!values) return []
    const title = `${name}${column === "value" ? "" : ` ${column}`}${shown}`
    return [{ title, cells: new Map(series.time.map((time, i) => [time, values[i]])) }]
  })
}
