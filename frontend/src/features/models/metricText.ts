/** The figures that models are judged by, as people read them. */
import { count, fixed, quantity, share } from "@/words/figures"

const DECIMALS: Readonly<Record<string, number>> = { brier: 4, brier_constant: 4, concordance: 3 }

const SHARES: ReadonlySet<string> = new Set(["false_unlike", "unlike_at_failure"])

/** A metric with its unit; a dash where it was not measured. */
export function metricText(name: string, value: number | null | undefined): string {
  if (name.startsWith("coverage") || SHARES.has(name)) return share(value)
  if (name.endsWith("_h")) return quantity(value, "h", 3)
  const decimals = DECIMALS[name]
  return decimals === undefined ? count(value) : fixed(value, decimals)
}
