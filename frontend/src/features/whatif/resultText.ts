/** Results in words and figures: how many digits they are worth, in which unit, and what a difference means. */
import type { ArmResult, CostEstimate, MetricResult, PairedDifference } from "@/api/whatif"
import { bytes, count, fixed, share, unitText } from "@/words/figures"
import { language, say, sayOf } from "@/words/say"
import { span } from "@/words/times"

/** In which unit the figures of a metric are written: times `factor`, in `unit`. */
export interface Units {
  readonly factor: number
  readonly unit: string
  /** Of differences, where it is another. */
  readonly ofChange: string
}

export interface Scale extends Units {
  /** Of values and of differences: all arms have as many, so that they can be compared at a glance. */
  readonly decimals: number
  readonly ofChangeDecimals: number
}

const GAP = "\u202f"
const SHARES = new Set(["availability", "time_in_flood_share"])
const COSTS = /cost$/
const THOUSAND_FROM = 10_000
const MILLION_FROM = 10_000_000

export function metricTitle(metric: string): string {
  return sayOf("whatif.metrics", metric, metric)
}

/** In which unit values of a metric are read, all alike. */
export function scaleOf(metric: string, unit: string, values: readonly (number | null)[]): Units {
  if (SHARES.has(metric)) return { factor: 100, unit: "%", ofChange: say("whatif.points") }
  const shown = isCurrency(unit) ? currencyMark(unit) : unitText(unit)
  if (!isCurrency(unit) && !COSTS.test(metric)) return { factor: 1, unit: shown, ofChange: shown }
  const most = Math.max(0, ...values.map((value) => Math.abs(value ?? 0)))
  const [factor, prefix] = most >= MILLION_FROM ? [1e-6, "M"] : most >= THOUSAND_FROM ? [1e-3, "k"] : [1, ""]
  return { factor, unit: `${prefix}${shown}`, ofChange: `${prefix}${shown}` }
}

/** How the results of a metric are written. */
export function scaleOfResult({ metric, unit, arms }: MetricResult): Scale {
  const units = scaleOf(
    metric,
    unit,
    arms.flatMap(({ value, low, high }) => [value, low, high]),
  )
  const differences = arms.flatMap(({ difference }) => difference ?? [])
  return {
    ...units,
    decimals: decimalsFor(widest(arms, units.factor)),
    ofChangeDecimals: decimalsFor(widest(differences, units.factor)),
  }
}

/** Half the widest of some intervals; null where none has both ends. */
function widest(
  intervals: readonly { readonly low: number | null; readonly high: number | null }[],
  factor: number,
): number | null {
  const halves = intervals.flatMap(({ low, high }) =>
    low === null || high === null ? [] : ((high - low) / 2) * factor,
  )
  return halves.length > 0 ? Math.max(...halves) : null
}

/** What the figures of a metric count, to stand beside its title. */
export function unitNote(metric: string, { unit }: Units): string {
  if (COSTS.test(metric) && /^[kM]?$/.test(unit))
    return [unit, say("whatif.currency")].filter(Boolean).join(" ")
  if (metric === "health") return say("whatif.ofHundred")
  return unit || say("whatif.number")
}

/** So many decimals that half an interval is told by its first digit, by two where that is small. */
export function decimalsFor(half: number | null): number {
  if (half === null || !Number.isFinite(half)) return 2
  if (half === 0) return 0
  const place = Math.floor(Math.log10(half))
  const isSmall = half < 3 * 10 ** place
  return Math.min(4, Math.max(0, (isSmall ? 1 : 0) - place))
}

export interface Written {
  readonly value: string
  readonly interval: string
}

/** The mean of an arm with its interval. */
export function valueText(found: ArmResult, { factor, unit, decimals }: Scale): Written {
  return written(found, unit, (n) => fixed(n * factor, decimals))
}

/** How an arm differs from the reference, with its interval. */
export function differenceText(found: PairedDifference, scale: Scale): Written {
  const { factor, ofChange, ofChangeDecimals } = scale
  return written(found, ofChange, (n) => signedText(n * factor, ofChangeDecimals))
}

interface Found {
  readonly value: number | null
  readonly low: number | null
  readonly high: number | null
}

function written({ value, low, high }: Found, unit: string, figure: (n: number) => string): Written {
  const shown = value === null ? "–" : figure(value)
  return {
    value: value === null || !unit ? shown : `${shown}${GAP}${unit}`,
    interval: say("whatif.interval", {
      low: low === null ? "−∞" : figure(low),
      high: high === null ? "∞" : figure(high),
    }),
  }
}

function signedText(n: number, decimals: number): string {
  const rounded = Number(n.toFixed(decimals))
  if (rounded === 0) return `±${fixed(0, decimals)}`
  return rounded > 0 ? `+${fixed(rounded, decimals)}` : fixed(rounded, decimals)
}

/** Whether a difference can be told from none. */
export function isTold({ low, high }: PairedDifference): boolean {
  return low !== null && high !== null && (low > 0 || high < 0)
}

/** In how many of the futures the arm did better. */
export function betterText({ share_better, n }: PairedDifference): string {
  if (share_better === null || n === 0) return ""
  return say("whatif.betterIn", { n, shown: count(n), k: count(Math.round(share_better * n)) })
}

/** What more there is to a difference, for who looks closer. */
export function differenceHelp(found: PairedDifference): string {
  const { p_mean_better, share_better_low, share_better_high, variance_ratio } = found
  return [
    p_mean_better === null ? "" : say("whatif.sureBetter", { p: probability(p_mean_better) }),
    share_better_low === null || share_better_high === null
      ? ""
      : say("whatif.shareInterval", { low: share(share_better_low), high: share(share_better_high) }),
    variance_ratio === null || variance_ratio <= 0
      ? ""
      : say("whatif.pairing", { times: count(1 / variance_ratio, variance_ratio > 0.1 ? 1 : 0) }),
  ]
    .filter(Boolean)
    .join(" ")
}

/** Never certain: > 0.99, < 0.01. */
export function probability(p: number): string {
  if (p > 0.99) return `>${GAP}${fixed(0.99, 2)}`
  if (p < 0.01) return `<${GAP}${fixed(0.01, 2)}`
  return fixed(p, 2)
}

/** What a scenario would cost: "2 arms × 20 replications × 10,000 devices: about 95 s, 1.2 GB". */
export function estimateText({
  devices,
  arms,
  replications,
  seconds,
  memory_mb,
  disk_mb,
}: CostEstimate): string {
  const n = deviceCount(devices)
  return say("whatif.editor.estimate", {
    arms: say("whatif.editor.armsN", { n: arms, shown: count(arms) }),
    replications: say("whatif.editor.replicationsN", { n: replications, shown: count(replications) }),
    devices: say("whatif.devicesN", { n, shown: count(n) }),
    time: span(seconds * 1000),
    memory: bytes(memory_mb * 1e6),
    disk: bytes(disk_mb * 1e6),
  })
}

export function deviceCount(devices: Readonly<Record<string, number>>): number {
  return Object.values(devices).reduce((sum, n) => sum + n, 0)
}

/** How much longer a run takes that has come so far; null where that cannot be told. */
export function leftMs(progress: number | null, startedMs: number | null, nowMs: number): number | null {
  if (progress === null || progress < 0.02 || progress >= 1 || startedMs === null || nowMs <= startedMs)
    return null
  return ((nowMs - startedMs) / progress) * (1 - progress)
}

function isCurrency(unit: string): boolean {
  return /^[A-Z]{3}$/.test(unit)
}

function currencyMark(unit: string): string {
  const options = { style: "currency", currency: unit, currencyDisplay: "narrowSymbol" } as const
  const parts = new Intl.NumberFormat(language(), options).formatToParts(1)
  return parts.find(({ type }) => type === "currency")?.value ?? unit
}
