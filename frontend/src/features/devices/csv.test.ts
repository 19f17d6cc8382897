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
  p_fail_24h: 0.01,
  p_fail_7d: 0.4,
  p_fail_30d: 1,
  rul_p05_h: 60.5,
  rul_p50_h: 190,
  rul_p95_h: null,
  like_healthy: 0.004,
  failure_mode: "bearing-wear",
  in_distribution: true,
  model_version: 3,
  predicted_at: "2026-01-31T11:59:00.000Z",
  labels: {},
}

test("a device is one line under the names that the API has", () => {
  expect(CSV_HEAD).toMatch(/^\ufeffid,name,type,site,parent/)
  expect(csvOf([DEVICE])).toBe(
    'pump-1,"Pump ""A"", north",centrifugal-pump,oslo,,reporting,49.5,0,drift spike,high,2,1,0.01,0.4,1,60.5,190,,0.004,bearing-wear,2026-01-31T12:00:00.000Z,\r\n',
  )
})
