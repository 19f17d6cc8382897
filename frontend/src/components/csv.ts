/** Comma-separated values (RFC 4180), and handing them to the browser as a file to keep. */

/** By which spreadsheets know UTF-8; at the beginning of a file. */
export const UTF8_MARK = "\ufeff"

/** One line with its end; nothing stands where nothing is known. */
export function csvLine(cells: readonly (string | number | null | undefined)[]): string {
  return `${cells.map(cell).join(",")}\r\n`
}

/** Let the browser keep a file. */
export function saveCsv(name: string, parts: string[]): void {
  const address = URL.createObjectURL(new Blob(parts, { type: "text/csv;charset=utf-8" }))
  const link = document.createElement("a")
  link.href = address
  link.download = name
  link.click()
  URL.revokeObjectURL(address)
}

function cell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return ""
  const text = typeof value === "string" ? harmless(value) : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** A spreadsheet takes a text that begins so for a formula, and runs it. */
function harmless(text: string): string {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
}
