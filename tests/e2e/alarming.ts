/** A device of a test's own whose alert stands and waits for somebody, however calm the simulated fleet is. */
import type { APIRequestContext } from "@playwright/test"
import { expect } from "@playwright/test"

const HEADERS = { "x-requested-with": "twinfold" }
const EVERY_MS = 5_000
const READINGS = 120

/** Register a pump that has shaken for the last minutes; answers its id once its alert is listed. */
export async function alarming(request: APIRequestContext): Promise<string> {
  const id = `shaking-${Date.now()}-${Math.floor(Math.random() * 1e6)}`
  const device = { id, type: "centrifugal-pump", site: "oslo" }
  const made = await request.post("/api/devices", { headers: HEADERS, data: { devices: [device] } })
  expect(made.status(), await made.text()).toBe(201)
  const first = Date.now() - READINGS * EVERY_MS
  const readings = Array.from({ length: READINGS }, (_, n) => ({
    device: id,
    time: first + n * EVERY_MS,
    values: { speed: 2500, vibration: 20 },
  }))
  const sent = await request.post("/api/readings", { headers: HEADERS, data: { readings } })
  expect(sent.status(), await sent.text()).toBe(200)
  await expect
    .poll(async () => (await (await request.get(`/api/alerts?device=${id}&state=UNACK`)).json()).total)
    .toBeGreaterThan(0)
  return id
}

/** Take it out of the fleet again. */
export async function retired(request: APIRequestContext, id: string): Promise<void> {
  const gone = await request.delete(`/api/devices/${id}`, { headers: HEADERS })
  expect(gone.status(), await gone.text()).toBe(200)
}
