import { expect, test } from "vitest"
import type { ModelDrift } from "@/api/schema"
import { driftText } from "./driftText"

const FITS: ModelDrift = {
  type: "pump",
  version: 3,
  since: "2026-01-31T12:00:00.000Z",
  at: "2026-02-01T12:00:00.000Z",
  devices: 400,
  unlike: 12,
  index: 0.041,
  limit: 0.25,
  reasons: [],
  bins: [],
}

test("one that fits says so first, and then from what", () => {
  const [judged, unlike, moved] = driftText(FITS)
  expect(judged).toBe("It fits the devices that it is asked about.")
  expect(unlike).toBe("Of 400 devices it cannot speak of 12 (3\u202f%).")
  expect(moved).toContain("moved by 0.04")
})

test("one that does not says every reason, and what is not known is not made up", () => {
  const drifted = driftText({ ...FITS, unlike: 100, index: 0.5, reasons: ["unlike", "shift"] })
  expect(drifted).toHaveLength(4)
  expect(drifted[0]).toContain("a fifth")
  expect(driftText({ ...FITS, index: null, limit: null, since: null })[2]).toContain("not known yet")
  expect(driftText({ ...FITS, version: null })).toHaveLength(1)
})
