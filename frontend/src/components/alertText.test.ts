import { afterEach, expect, test } from "vitest"
import type { AlertItem, FleetEvent } from "@/api/schema"
import { setZone } from "@/words/times"
import { refusalText } from "./alertText"

const alert = { title: "Vibration in zone C", rule: "vibration-high", device_id: "pump-17" } as AlertItem

afterEach(() => setZone(undefined))

test("who was first is told with what they did, and when", () => {
  setZone("UTC")
  const before = { type: "alert.acknowledged", at: "2026-03-01T12:34:56Z", detail: { by: "ola" } }
  expect(refusalText({ alert, reason: "x", before: before as unknown as FleetEvent })).toBe(
    "ola was first. Acknowledged: Vibration in zone C, pump-17, at 12:34:56",
  )
})

test("where nobody was, the reason is the API's", () => {
  expect(refusalText({ alert, reason: "its condition still holds" })).toBe("its condition still holds")
})
