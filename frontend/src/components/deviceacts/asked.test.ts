import { expect, test } from "vitest"
import type { PropertyInfo, TypeInfo } from "@/api/schema"
import { askable, typedValue, typedValues } from "./asked"

const blank = { title: "", unit: "1", low: null, high: null, resolution: 0, choices: [] }
const speed: PropertyInfo = {
  ...blank,
  name: "speed",
  kind: "number",
  low: 1000,
  high: 3000,
  role: "operator",
  expires_s: null,
}
const mode: PropertyInfo = {
  ...blank,
  name: "mode",
  kind: "enum",
  choices: ["auto", "off"],
  role: "engineer",
  expires_s: null,
}
const firmware: PropertyInfo = { ...blank, name: "firmware", kind: "string", role: "nobody", expires_s: null }
const stop = {
  name: "stop",
  title: "Stop",
  role: "operator",
  expires_s: 60,
  repeatable: true,
  parameters: [],
} as const
const type = { properties: [speed, mode, firmware], commands: [stop] } as unknown as TypeInfo

test("a person is offered what the role reaches, and what nobody can set is offered to none", () => {
  const names = (role?: string) => askable(type, role).map(({ spec }) => spec.name)
  expect(names()).toEqual([])
  expect(names("viewer")).toEqual([])
  expect(names("operator")).toEqual(["stop", "speed"])
  expect(names("engineer")).toEqual(["stop", "speed", "mode"])
  expect(names("admin")).toEqual(["stop", "speed", "mode"])
  expect(askable(undefined, "admin")).toEqual([])
})

test("a text becomes a value of the property's kind, within its range, or none", () => {
  expect(typedValue(speed, " 1800 ")).toBe(1800)
  for (const text of ["", "fast", "999", "3001", "NaN", "Infinity"])
    expect(typedValue(speed, text)).toBeUndefined()
  expect(typedValue({ ...speed, kind: "integer" }, "1800.5")).toBeUndefined()
  expect(typedValue(mode, "auto")).toBe("auto")
  expect(typedValue(mode, "on")).toBeUndefined()
  expect(typedValue({ ...speed, kind: "boolean" }, "false")).toBe(false)
  expect(typedValue({ ...speed, kind: "string" }, " ")).toBeUndefined()
})

test("what is typed becomes values once each of them is one; what need not go along may be left blank", () => {
  const ramp = { ...speed, name: "ramp", required: false }
  expect(typedValues([speed, ramp], { speed: "1800" })).toEqual({ speed: 1800 })
  expect(typedValues([speed, ramp], { speed: "1800", ramp: "2000" })).toEqual({ speed: 1800, ramp: 2000 })
  expect(typedValues([speed, ramp], { speed: "1800", ramp: "soon" })).toBeUndefined()
  expect(typedValues([speed, ramp], { ramp: "2000" })).toBeUndefined()
  expect(typedValues([], {})).toEqual({})
})
