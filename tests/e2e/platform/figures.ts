/** How figures are told: one line of JSON each, with what it is held against, measured in the same run. */
import { arch, cpus, type } from "node:os"

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

const REST = 0.5
const LOOK_MS = 5_000
const WITHIN_MS = 600_000

/** Wait until the machine has had half of its time to itself for a while, so that a start is not timed with what follows. */
export async function atRest(): Promise<void> {
  const until = Date.now() + WITHIN_MS
  for (let before = times(); ; ) {
    await new Promise((done) => setTimeout(done, LOOK_MS))
    const now = times()
    if ((now.idle - before.idle) / (now.all - before.all) > REST) return
    if (Date.now() > until) throw new Error(`the machine did not come to rest within ${WITHIN_MS / 1000} s`)
    before = now
  }
}

function times(): { idle: number; all: number } {
  const each = cpus().map(({ times: { user, nice, sys, idle, irq } }) => ({
    idle,
    all: user + nice + sys + idle + irq,
  }))
  return { idle: sum(each.map(({ idle }) => idle)), all: sum(each.map(({ all }) => all)) }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, each) => all + each, 0)
}
