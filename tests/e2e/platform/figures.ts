/** How figures are told: one line of JSON each, with what it is held against, measured in the same run. */
import { arch, type } from "node:os"

export function report(
  name: string,
  figure: number,
  unit: string,
  reference: number,
  reference_is: string,
  conditions: object = {},
): void {
  const round = (n: number) => Number(n.toPrecision(4))
  const date = new Date().toISOString().slice(0, 10)
  const ratio = reference ? round(figure / reference) : null
  const machine = `${arch()} ${type()} Node ${process.versions.node}`
  const line = {
    name,
    figure: round(figure),
    unit,
    reference: round(reference),
    reference_is,
    ratio,
    date,
    machine,
  }
  process.stdout.write(`${JSON.stringify({ ...line, ...conditions })}\n`)
}

export function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}
