import { expect, test } from "vitest"
import type { NotificationRouteItem } from "@/api/schema"
import { draftOf, problemOf, replaced, routeOf } from "./draft"

const KEPT: NotificationRouteItem = {
  id: "r1",
  revision: 2,
  by: "kari",
  changed: "2026-01-31T12:00:00Z",
  name: "nights",
  enabled: false,
  priority: "medium",
  sites: ["oslo", "north quay"],
  types: [],
  rules: ["dry"],
  zone: "Europe/Oslo",
  schedule: [{ days: ["mon"], start: "16:00", end: "07:00" }],
  quiet: [],
  quiet_priority: "high",
  repeat_s: 90,
  until: "returned",
  steps: [
    { after_s: 0, to: ["role:operator"] },
    { after_s: 900, to: ["account:ann", "channel:c1"] },
  ],
}

test("a route comes out of its form as it went in", () => {
  const { id: _, revision: __, by: ___, changed: ____, ...route } = KEPT
  expect(routeOf(draftOf(KEPT, "UTC"))).toEqual(route)
})

test("a new route is for the reader's zone and tells nobody yet", () => {
  const draft = draftOf(null, "Europe/Oslo")
  expect(draft.zone).toBe("Europe/Oslo")
  expect(problemOf(draft)).toBe("notifications.route.nobody")
})

test("steps come one after the other", () => {
  const draft = draftOf(KEPT, "UTC")
  expect(problemOf(draft)).toBeNull()
  expect(problemOf({ ...draft, steps: [...draft.steps, { after: "15", to: ["role:admin"] }] })).toBe(
    "notifications.route.rising",
  )
})

test("an item is changed or left out", () => {
  expect(replaced([1, 2, 3], 1, 7)).toEqual([1, 7, 3])
  expect(replaced([1, 2, 3], 1, null)).toEqual([1, 3])
})
