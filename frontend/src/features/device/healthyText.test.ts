import { expect, test } from "vitest"
import { healthyText } from "./PrognosisCard"

const HEALTHY = {
  like_healthy: 0.004,
  t2: 1.6,
  q: 0.7,
  channels: [
    { channel: "vibration", share: 0.62, now_sd: 4.4 },
    { channel: "flow", share: 0.25, now_sd: null },
    { channel: "pressure", share: 0.08, now_sd: -0.1 },
  ],
}

test("what is unlike healthy devices is told with the channels that make it so", () => {
  const told = healthyText(HEALTHY, undefined)
  expect(told).toContain("0.4\u202f%")
  expect(told).toContain("Vibration, Flow")
  expect(told).not.toContain("Pressure")
})

test("of what is like them only that is told", () => {
  const told = healthyText({ ...HEALTHY, like_healthy: 0.31 }, undefined)
  expect(told).toContain("31\u202f%")
  expect(told).not.toContain("Vibration")
})
