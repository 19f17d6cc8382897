import { expect, test } from "vitest"
import type { DeviceItem } from "@/api/schema"
import { CSV_HEAD, csvOf } from "./csv"

const DEVICE: DeviceItem = {
  id: "pump-1",
  name: 'Pump "A", north',
  type: "centrifugal-pump",
  site: "oslo",
  parent: null,
  status: "reporting",
  health: 49.5,
  observed: 1,
  anomaly_score: -0,
  anomalous: false,
  patterns: ["drift", "spike"],
  priority: "high",
  alerts: 2,
  unacknowledged: 1,
  event_time: "2026-01-31T12:00:00.000Z",
  heard_at: null,
  labels: {},
}

test("a device is one line under the names that the API has", () => {
  expect(CSV_HEAD).toMatch(/^\ufeffid,name,type,site,parent/)
  expect(csvOf([DEVICE])).toBe(
    'pump-1,"Pump ""A"", north",centrifugal-pump,oslo,,reporting,49.5,0,drift spike,high,2,1,2026-01-31T12:00:00.000Z,\r\n',
  )
})
