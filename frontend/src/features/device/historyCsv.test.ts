import { expect, test } from "vitest"
import type { DeviceHistory, TypeInfo } from "@/api/schema"
import { historyCsv } from "./historyCsv"

const type = {
  channels: [
    { name: "flow", unit: "m3/h" },
    { name: "running", unit: "1" },
  ],
} as TypeInfo

test("a line a time, an empty cell where nothing was measured", () => {
  const channels = {
    flow: { time: [0, 1000], value: [1.5, null] },
    running: { time: [0, 1000], value: [1, 0] },
  }
  expect(historyCsv({ channels } as unknown as DeviceHistory, type)).toBe(
    "time,flow [m3/h],running\r\n1970-01-01T00:00:00.000Z,1.5,1\r\n1970-01-01T00:00:01.000Z,,0\r\n",
  )
})

test("buckets are two columns, least and greatest", () => {
  const channels = { flow: { time: [0], value: null, min: [1], max: [2] } }
  expect(historyCsv({ channels } as unknown as DeviceHistory, type)).toBe(
    "time,flow min [m3/h],flow max [m3/h]\r\n1970-01-01T00:00:00.000Z,1,2\r\n",
  )
})
