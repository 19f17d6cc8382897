/**
 * How Lighthouse slows a browser down, and how it scores what it measures.
 *
 * Figures of its version 12: `core/config/constants.js`, `docs/scoring.md` and the metric audits under `core/audits/metrics/`.
 */

/** What of a first load is scored: times in ms, layout shift without a unit. */
export interface Measured {
  readonly first_contentful_paint: number
  readonly largest_contentful_paint: number
  readonly total_blocking_time: number
  readonly cumulative_layout_shift: number
}

export interface Conditions {
  readonly roundTripMs: number
  readonly downKbps: number
  readonly upKbps: number
  readonly cpuSlowdown: number
  readonly screen: {
    readonly viewport: { readonly width: number; readonly height: number }
    readonly deviceScaleFactor: number
    readonly isMobile: boolean
  }
  /** Where a page scores 0.9 and where 0.5. */
  readonly curves: Readonly<Record<keyof Measured, readonly [number, number]>>
}

export const CONDITIONS: Readonly<Record<"desktop" | "mobile", Conditions>> = {
  desktop: {
    roundTripMs: 40,
    downKbps: 10_240,
    upKbps: 10_240,
    cpuSlowdown: 1,
    screen: { viewport: { width: 1350, height: 940 }, deviceScaleFactor: 1, isMobile: false },
    curves: {
      first_contentful_paint: [934, 1600],
      largest_contentful_paint: [1200, 2400],
      total_blocking_time: [150, 350],
      cumulative_layout_shift: [0.1, 0.25],
    },
  },
  mobile: {
    roundTripMs: 150,
    downKbps: 1638.4,
    upKbps: 750,
    cpuSlowdown: 4,
    screen: { viewport: { width: 412, height: 823 }, deviceScaleFactor: 1.75, isMobile: true },
    curves: {
      first_contentful_paint: [1800, 3000],
      largest_contentful_paint: [2500, 4000],
      total_blocking_time: [200, 600],
      cumulative_layout_shift: [0.1, 0.25],
    },
  },
}

/** A browser delays whole requests, not packets: by what Lighthouse makes up for that. */
const ROUND_TRIPS_A_REQUEST = 3.75
const SHARE_OF_THROUGHPUT = 0.9

const BYTES_PER_S_A_KBPS = 1000 / 8

/** The network as the browser's developer tools take it, in ms and bytes/s. */
export function network({ roundTripMs, downKbps, upKbps }: Conditions) {
  return {
    offline: false,
    latency: roundTripMs * ROUND_TRIPS_A_REQUEST,
    downloadThroughput: downKbps * SHARE_OF_THROUGHPUT * BYTES_PER_S_A_KBPS,
    uploadThroughput: upKbps * SHARE_OF_THROUGHPUT * BYTES_PER_S_A_KBPS,
  }
}

/** Of 100. The speed index, a tenth, needs a film of the load and is left out. */
const WEIGHTS: Readonly<Record<keyof Measured, number>> = {
  first_contentful_paint: 10,
  largest_contentful_paint: 25,
  total_blocking_time: 30,
  cumulative_layout_shift: 25,
}

/** The performance score, 0 to 100, from what is measured here; the other weights keep their proportions. */
export function score(measured: Measured, { curves }: Conditions): number {
  const names = Object.keys(WEIGHTS) as (keyof Measured)[]
  const whole = names.reduce((sum, name) => sum + WEIGHTS[name], 0)
  return (
    (100 / whole) *
    names.reduce((sum, name) => sum + WEIGHTS[name] * share(measured[name], ...curves[name]), 0)
  )
}

/** The share of a log-normal distribution above a value, given the values above which nine tenths and half of it are. */
function share(value: number, nineTenths: number, half: number): number {
  if (value <= 0) return 1
  const deviation = Math.log(half / nineTenths) / 1.2815515655446004 // the normal distribution's ninth decile
  return 0.5 * (1 - erf(Math.log(value / half) / (deviation * Math.SQRT2)))
}

/** Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: to within 1.5e-7. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x))
  const series =
    t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
  return Math.sign(x) * (1 - series * Math.exp(-x * x))
}
