import { expect, test } from "vitest"
import type { CommandInfo, DevicesDone, TypeInfo } from "@/api/schema"
import { actsOf, offersOf, reasonsOf, sharedBy } from "./manyActs"

const command = (name: string, role: CommandInfo["role"] = "operator"): CommandInfo => ({
  name,
  title: name,
  role,
  expires_s: 60,
  repeatable: false,
  parameters: [],
})
const typeOf = (name: string, commands: CommandInfo[], actions: string[] = []) =>
  ({
    name,
    commands,
    properties: [],
    actions: actions.map((action) => ({ name: action, title: "", kind: "repair" })),
    failure_modes: actions.map((mode) => ({ name: mode, title: "" })),
  }) as unknown as TypeInfo

const RAMP = { ...command("stop"), parameters: [{ name: "ramp_s" }] } as CommandInfo
const TYPES = [
  typeOf("pump", [command("start"), command("stop"), command("wipe", "admin")], ["grease", "align"]),
  typeOf("fan", [command("start"), RAMP], ["grease"]),
  typeOf("meter", []),
]

test("each role is offered what it may do", () => {
  expect(actsOf("viewer", TYPES)).toEqual([])
  expect(actsOf("operator", TYPES)).toEqual(["maintenance", "send"])
  expect(actsOf("engineer", TYPES)).toEqual(["maintenance", "send", "retire"])
  expect(actsOf("engineer", [typeOf("meter", [])])).toEqual(["maintenance", "retire"])
})

test("commands are offered with how many have them; what differs in its parameters is another", () => {
  const offers = offersOf({ pump: 3, fan: 2, meter: 1 }, TYPES, "operator")
  expect(offers.map(({ spec, devices }) => [spec.name, spec.parameters.length, devices])).toEqual([
    ["start", 0, 5],
    ["stop", 0, 3],
    ["stop", 1, 2],
  ])
  expect(offersOf({ meter: 1 }, TYPES, "admin")).toEqual([])
  expect(offersOf({ pump: 1 }, TYPES, "admin").map(({ spec }) => spec.name)).toContain("wipe")
})

test("an action is offered where every type has it", () => {
  const names = (byType: DevicesDone["by_type"]) => sharedBy(byType, TYPES)?.actions.map(({ name }) => name)
  expect(names({ pump: 3 })).toEqual(["grease", "align"])
  expect(names({ pump: 3, fan: 1 })).toEqual(["grease"])
  expect(names({ pump: 3, meter: 1 })).toEqual([])
  expect(sharedBy({ pump: 3, fan: 1 }, TYPES)?.failure_modes.map(({ name }) => name)).toEqual(["grease"])
  expect(names({})).toBeUndefined()
})

test("a few reasons are told, and that there are more", () => {
  const refused = ["a", "b", "c", "d"].map((device) => ({ device, code: "x", detail: `no ${device}` }))
  const done = { matched: 9, done: 5, by_type: {}, cursor: null, refused, refused_total: 4 }
  expect(reasonsOf(done)).toBe("no a; no b; no c; …")
  expect(reasonsOf({ ...done, refused: refused.slice(0, 1), refused_total: 1 })).toBe("no a")
})
