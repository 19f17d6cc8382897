/**
 * Measured values in the units that the reader chose: as the devices measure, metric, or US customary.
 *
 * Units are UCUM codes. One that has no counterpart in a system stays as it is, and so does K, which may be a difference.
 * Source: NIST Special Publication 811, appendix B.
 */
import { quantity } from "./figures"

export const UNIT_SYSTEMS = ["measured", "metric", "us"] as const
export type UnitSystem = (typeof UNIT_SYSTEMS)[number]

/** Another unit, and how a value is turned into it: times `factor`, plus `offset`. */
interface Turn {
  readonly unit: string
  readonly factor: number
  readonly offset: number
}

type Row = readonly [from: string, to: string, factor: number, offset?: number]

/** Each the other's counterpart: metric to US customary, and back. */
const BOTH_WAYS: readonly Row[] = [
  ["Cel", "[degF]", 1.8, 32],
  ["bar", "[psi]", 14.50377377],
  ["m3/h", "[gal_us]/min", 4.402867539],
  ["m3/min", "[cft_i]/min", 35.31466672],
  ["kg/s", "[lb_av]/s", 2.204622622],
  ["mm", "[in_i]", 1 / 25.4],
  ["m", "[ft_i]", 1 / 0.3048],
  ["km", "[mi_i]", 1 / 1.609344],
  ["mm/s", "[in_i]/s", 1 / 25.4],
  ["m/s", "[mi_i]/h", 1 / 0.44704],
]
const TO_US: readonly Row[] = [
  ["Pa", "[psi]", 1.450377377e-4],
  ["kPa", "[psi]", 0.1450377377],
  ["MPa", "[psi]", 145.0377377],
  ["mbar", "[psi]", 0.01450377377],
  ["L/s", "[gal_us]/min", 15.85032314],
  ["L/min", "[gal_us]/min", 0.2641720524],
  ["L/h", "[gal_us]/min", 0.00440286754],
  ["m3/s", "[cft_i]/min", 2118.880003],
  ["kg/h", "[lb_av]/h", 2.204622622],
  ["um", "[mil_i]", 1 / 25.4],
  ["cm", "[in_i]", 1 / 2.54],
  ["km/h", "[mi_i]/h", 1 / 1.609344],
]
const TO_METRIC: readonly Row[] = [
  ["[degR]", "Cel", 1 / 1.8, -273.15],
  ["[in_i'H2O]", "mbar", 2.490889],
  ["[lb_av]/h", "kg/h", 0.45359237],
  ["[mil_i]", "um", 25.4],
  ["10*3.[ft_i]", "km", 0.3048],
  ["[ft_i]/s", "m/s", 0.3048],
  ["[ft_i]/min", "m/s", 0.00508],
  ["[kn_i]", "m/s", 0.5144444444],
]

const TURNS: Readonly<Record<UnitSystem, ReadonlyMap<string, Turn>>> = {
  measured: new Map(),
  metric: turns([...BOTH_WAYS.map(back), ...TO_METRIC]),
  us: turns([...BOTH_WAYS, ...TO_US]),
}
const PER_HOUR = "/h"

let system: UnitSystem = "measured"

/** Show values in this system from now on. */
export function setUnits(chosen: UnitSystem): void {
  system = chosen
}

/** The unit in which values of this one are shown. */
export function shownUnit(unit: string): string {
  return turnOf(unit)?.unit ?? unit
}

/** A value of this unit as it is shown. */
export function inShownUnit(n: number, unit: string): number {
  const turn = turnOf(unit)
  return turn ? n * turn.factor + turn.offset : n
}

/** A measured value with its unit, both as the reader chose. */
export function measured(n: number | null | undefined, unit: string, digits?: number): string {
  const value = n === null || n === undefined ? n : inShownUnit(n, unit)
  return quantity(value, shownUnit(unit), digits)
}

/** How values of a unit are turned; the rate at which one changes has no offset. */
function turnOf(unit: string): Turn | undefined {
  const turn = TURNS[system].get(unit)
  if (turn || !unit.endsWith(PER_HOUR)) return turn
  const changing = TURNS[system].get(unit.slice(0, -PER_HOUR.length))
  return changing && { unit: `${changing.unit}${PER_HOUR}`, factor: changing.factor, offset: 0 }
}

function turns(rows: readonly Row[]): ReadonlyMap<string, Turn> {
  return new Map(rows.map(([from, unit, factor, offset = 0]) => [from, { unit, factor, offset }]))
}

function back([from, to, factor, offset = 0]: Row): Row {
  return [to, from, 1 / factor, -offset / factor]
}
