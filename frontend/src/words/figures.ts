/** Numbers as people read them: grouped, with a true minus, short where they are large, never without a unit. */
import { language } from "./say"

/** Between a number and its unit: narrow, and never broken across lines. */
const GAP = "\u202f"
const formats = new Map<string, Intl.NumberFormat>()

/** A count, grouped, whole unless `decimals` are asked for: 998,212. */
export function count(n: number | null | undefined, decimals = 0): string {
  if (!known(n)) return "–"
  return format({ maximumFractionDigits: decimals })(n)
}

/** A large count in a narrow place: 1.00 M, 12.4 k, 980. */
export function short(n: number | null | undefined): string {
  if (!known(n)) return "–"
  const size = Math.abs(n)
  for (const [from, letter] of [
    [999.5e6, "G"],
    [999.5e3, "M"],
    [9999.5, "k"],
  ] as const) {
    if (size >= from) {
      const scaled = n / { G: 1e9, M: 1e6, k: 1e3 }[letter]
      return `${significant(scaled, 3)}${GAP}${letter}`
    }
  }
  return size >= 100 || Number.isInteger(n) ? count(n) : significant(n, 3)
}

/** A measured value to a few significant digits: 7.31, 1,480, 0.0021. */
export function quantity(n: number | null | undefined, unit = "", digits = 4): string {
  if (!known(n)) return "–"
  const size = Math.abs(n)
  const text = size !== 0 && (size >= 1e7 || size < 1e-4) ? exponential(n) : plain(n, digits)
  return unit && unit !== "1" ? `${text}${GAP}${unitText(unit)}` : text
}

/** A value with exactly so many decimals. */
export function fixed(n: number | null | undefined, decimals: number): string {
  if (!known(n)) return "–"
  return format({ minimumFractionDigits: decimals, maximumFractionDigits: decimals })(n)
}

/** A health score, 0 to 100: whole, rounded down, so that 49.9 never looks like the 50 it has not reached. */
export function health(n: number | null | undefined): string {
  return known(n) ? count(Math.floor(n + 1e-9)) : "–"
}

/** So many bytes in their largest sensible unit: 12.4 MB. */
export function bytes(n: number | null | undefined): string {
  if (!known(n)) return "–"
  const step = n < 1000 ? 0 : Math.min(BYTES.length - 1, Math.floor(Math.log10(n) / 3))
  return quantity(n / 1000 ** step, BYTES[step], 3)
}

/** A share of one as percent: 0.11 %. */
export function share(n: number | null | undefined): string {
  if (!known(n)) return "–"
  const percent = n * 100
  const decimals = percent === 0 || percent >= 10 ? 0 : percent >= 1 ? 1 : 2
  return `${format({ maximumFractionDigits: decimals })(percent)}${GAP}%`
}

/** A change with its sign: +3, −5, ±0. */
export function change(n: number | null | undefined, decimals = 0): string {
  if (!known(n)) return "–"
  const rounded = Number(n.toFixed(decimals))
  if (rounded === 0) return "±0"
  return (rounded > 0 ? "+" : "") + format({ maximumFractionDigits: decimals })(rounded)
}

/** A UCUM code as people write the unit. */
export function unitText(unit: string): string {
  const known = UNITS[unit]
  if (known !== undefined) return known
  if (unit.endsWith("/h")) return `${unitText(unit.slice(0, -2))}/h`
  return unit
    .replace(/[[{](\w+)[\]}]/g, "$1")
    .replaceAll("*", "·")
    .replace(/2$/, "²")
    .replace(/3$/, "³")
}

const BYTES = ["B", "kB", "MB", "GB", "TB", "PB"] as const

const UNITS: Readonly<Record<string, string>> = {
  Cel: "°C",
  K: "K",
  "%": "%",
  "1": "",
  "m3/h": "m³/h",
  "m3/s": "m³/s",
  "m3/min": "m³/min",
  "[gal_us]/min": "gal/min",
  "[cft_i]/min": "ft³/min",
  "[lb_av]/s": "lb/s",
  "[lb_av]/h": "lb/h",
  "[lb_av]/s/[psi]": "lb/(s·psi)",
  "10*3.[ft_i]": "10³ ft",
  "[in_i]": "in",
  "[in_i]/s": "in/s",
  "[in_i'H2O]": "inH₂O",
  "[ft_i]": "ft",
  "[ft_i]/s": "ft/s",
  "[ft_i]/min": "ft/min",
  "[mi_i]": "mi",
  "[mi_i]/h": "mph",
  "[mil_i]": "mil",
  "[kn_i]": "kn",
  "[degR]": "°R",
  um: "µm",
  "m/s2": "m/s²",
  "[g]": "g",
  "{rpm}": "rpm",
  "/min": "1/min",
  "1/min": "rpm",
  "{rev}/min": "rpm",
  deg: "°",
  "[degF]": "°F",
  "[psi]": "psi",
  Ohm: "Ω",
  "kW.h": "kWh",
  "W.h": "Wh",
}

function known(n: number | null | undefined): n is number {
  return n !== null && n !== undefined && Number.isFinite(n)
}

function plain(n: number, digits: number): string {
  const size = Math.abs(n)
  const decimals = size === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)))
  return format({ maximumFractionDigits: Math.min(decimals, 8) })(n)
}

function significant(n: number, digits: number): string {
  return format({ minimumSignificantDigits: digits, maximumSignificantDigits: digits })(n)
}

function exponential(n: number): string {
  const [mantissa, exponent] = n.toExponential(2).split("e")
  return `${mantissa}·10^${Number(exponent)}`.replaceAll("-", "−")
}

function format(options: Intl.NumberFormatOptions): (n: number) => string {
  const key = `${language()}${JSON.stringify(options)}`
  let known = formats.get(key)
  if (!known) {
    known = new Intl.NumberFormat(language(), options)
    formats.set(key, known)
  }
  const { format: write } = known
  return (n) => write(n).replace("-", "−")
}
