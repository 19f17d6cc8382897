import { afterEach, expect, test } from "vitest"
import { unitText } from "./figures"
import { inShownUnit, measured, setUnits, shownUnit } from "./units"

afterEach(() => setUnits("measured"))

test("values are shown as they were measured unless somebody chose otherwise", () => {
  expect(measured(83.5, "Cel")).toBe("83.5\u202f°C")
  expect(shownUnit("[psi]")).toBe("[psi]")
})

test.each([
  [100, "Cel", 212, "[degF]"],
  [-40, "Cel", -40, "[degF]"],
  [7.5, "bar", 108.778, "[psi]"],
  [101.325, "kPa", 14.6959, "[psi]"],
  [120, "m3/h", 528.344, "[gal_us]/min"],
  [6.2, "m3/min", 218.951, "[cft_i]/min"],
  [4, "mm/s", 0.15748, "[in_i]/s"],
  [12, "m/s", 26.8432, "[mi_i]/h"],
  [1.5, "m", 4.92126, "[ft_i]"],
  [25.4, "um", 1, "[mil_i]"],
])("%f %s is %f %s in US customary units", (value, unit, wanted, shown) => {
  setUnits("us")
  expect(inShownUnit(value, unit)).toBeCloseTo(wanted, 3)
  expect(shownUnit(unit)).toBe(shown)
})

test.each([
  [518.67, "[degR]", 15, "Cel"],
  [212, "[degF]", 100, "Cel"],
  [14.62, "[psi]", 1.00801, "bar"],
  [35, "10*3.[ft_i]", 10.668, "km"],
  [38.86, "[lb_av]/s", 17.6266, "kg/s"],
])("%f %s is %f %s in metric units", (value, unit, wanted, shown) => {
  setUnits("metric")
  expect(inShownUnit(value, unit)).toBeCloseTo(wanted, 3)
  expect(shownUnit(unit)).toBe(shown)
})

test("how fast something changes has no zero of its own", () => {
  setUnits("us")
  expect(measured(10, "Cel/h")).toBe("18\u202f°F/h")
  expect(measured(2, "bar/h", 3)).toBe("29\u202fpsi/h")
})

test("what has no counterpart stays, and what is shown is not turned again", () => {
  for (const system of ["metric", "us"] as const) {
    setUnits(system)
    for (const unit of ["K", "%", "kW", "{rev}/min", "1", "h", "A"]) expect(measured(5, unit)).toContain("5")
    for (const unit of ["Cel", "bar", "m3/h", "mm/s", "[degR]", "[psi]", "kPa"])
      expect(shownUnit(shownUnit(unit))).toBe(shownUnit(unit))
  }
})

test("there and back is the same value", () => {
  for (const unit of ["Cel", "bar", "m3/h", "m3/min", "mm", "m", "km", "mm/s", "m/s"]) {
    setUnits("us")
    const [there, other] = [inShownUnit(36.6, unit), shownUnit(unit)]
    setUnits("metric")
    expect(inShownUnit(there, other)).toBeCloseTo(36.6, 9)
    expect(shownUnit(other)).toBe(unit)
  }
})

test("every unit that is shown is written as people write it", () => {
  setUnits("us")
  const units = ["Cel", "bar", "m3/h", "m3/min", "kg/s", "mm", "m", "km", "mm/s", "m/s", "um"]
  expect(units.map((unit) => unitText(shownUnit(unit)))).toEqual([
    "°F",
    "psi",
    "gal/min",
    "ft³/min",
    "lb/s",
    "in",
    "ft",
    "mi",
    "in/s",
    "mph",
    "mil",
  ])
})
