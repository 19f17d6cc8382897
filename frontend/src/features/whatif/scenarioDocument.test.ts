import { expect, test } from "vitest"
import {
  at,
  BLANK,
  newIntervention,
  put,
  toYaml,
  type Value,
  withArm,
  withArmName,
  withDevices,
  withoutArm,
  withPolicy,
} from "./scenarioDocument"

test("a scenario becomes YAML in blocks", () => {
  expect(toYaml(withDevices(BLANK, "type = 'pump' and health < 60"))).toBe(`name: maintenance
title: "Does it pay to maintain earlier?"
base:
  start: live
  devices: "type = 'pump' and health < 60"
horizon_h: 720
step_s: 600
replications: 20
metrics: [failures, availability, cost, alerts]
arms:
  - name: as-is
    title: As is
    policy:
      kind: run_to_failure
  - name: earlier
    title: Earlier
    policy:
      kind: threshold
      when: "health < 60"
`)
})

test("a text that YAML would take for something else is quoted, and lists of sections nest", () => {
  const arms: Value = [{ name: "on", interventions: [{ load: { factor: 1.5 } }, { retire: {} }] }]
  expect(toYaml({ name: "2026-01-31", title: "a: b # c", seed: null, arms })).toBe(`name: "2026-01-31"
title: "a: b # c"
seed: null
arms:
  - name: "on"
    interventions:
      - load:
          factor: 1.5
      - retire: {}
`)
})

test("a value is put where it belongs, and a section that loses its last key goes", () => {
  const changed = put(BLANK, ["arms", 1, "policy", "when"], "health < 40")
  expect(at(changed, ["arms", 1, "policy", "when"])).toBe("health < 40")
  expect(at(BLANK, ["arms", 1, "policy", "when"])).toBe("health < 60")
  const stopping = put(BLANK, ["stopping", "metric"], "cost")
  expect(at(stopping, ["stopping"])).toEqual({ metric: "cost" })
  expect(at(put(stopping, ["stopping", "metric"], undefined), ["stopping"])).toBeUndefined()
  expect(at(withDevices(withDevices(BLANK, "x"), ""), ["base"])).toEqual({ start: "live" })
})

test("arms come, go and change their names, and the reference stays one of them", () => {
  const three = withArm(BLANK)
  expect(at(three, ["arms", 2])).toEqual({
    name: "arm-3",
    policy: { kind: "threshold", when: "health < 60" },
  })
  expect(at(withArm(put(BLANK, ["arms", 0, "name"], "arm-3")), ["arms", 2, "name"])).toBe("arm-4")
  const referred = put(three, ["reference"], "earlier")
  expect(withArmName(referred, 1, "sooner").reference).toBe("sooner")
  expect(withoutArm(referred, 1).reference).toBeUndefined()
  expect(withoutArm(referred, 0).reference).toBe("earlier")
})

test("another policy has what it needs and nothing of the one before", () => {
  const acting = put(BLANK, ["arms", 1, "policy", "action"], "overhaul")
  expect(at(withPolicy(acting, 1, "prognosis"), ["arms", 1, "policy"])).toEqual({
    kind: "prognosis",
    p_fail: 0.3,
    within_h: 168,
    action: "overhaul",
  })
})

test("a new intervention says what it must", () => {
  expect(newIntervention("load")).toEqual({ load: { factor: 1.1 } })
  expect(newIntervention("sensor")).toEqual({ sensor: { channel: "", failure: "stuck" } })
})
