/** A device's page with twenty channels, ten readings a second, for ten minutes: the page holds no more at the end. */
import { expect, test } from "@playwright/test"
import { report } from "./figures"
import { Platform } from "./platform"

const CHANNELS = Array.from({ length: 20 }, (_, i) => `c${String(i + 1).padStart(2, "0")}`)
const RIG = `
name: rig
version: 1
channels:
${CHANNELS.map((name) => `  - {name: ${name}, unit: V, low: -10, high: 10, resolution: 0.001}`).join("\n")}
interval_s: 0.1
`
const PER_S = 10
const MINUTES = Number(process.env.TWINFOLD_SERIES_MINUTES ?? 10)
const SETTLED_AT = Math.min(3, MINUTES / 2)
const MAY_GROW = 1.1

let platform: Platform

test.beforeAll(async () => {
  platform = await Platform.up({ types: { rig: RIG } })
  await platform.register("rig", ["rig-1"], { interval_s: 0.1 })
})

test.afterAll(async () => {
  await platform?.stop()
})

test("twenty series at ten hertz", async ({ browser }) => {
  const context = await platform.loggedIn(browser)
  const page = await context.newPage()
  await platform.post("/api/readings", { readings: second(Date.now() - 1000) })
  await page.goto("/devices/rig-1?range=1h")
  await expect(page.getByRole("img", { name: /^C20|^c20/ })).toBeVisible()
  const client = await context.newCDPSession(page)
  const heap = async () => {
    await client.send("HeapProfiler.collectGarbage")
    return (await client.send("Runtime.getHeapUsage")).usedSize / 1e6
  }
  const held: { minute: number; mb: number }[] = []
  const began = Date.now()
  let told = 0
  for (let s = 0; s < MINUTES * 60; s++) {
    const wait = began + (s + 1) * 1000 - Date.now()
    await new Promise((done) => setTimeout(done, Math.max(0, wait)))
    await platform.post("/api/readings", { readings: second(began + s * 1000) })
    told += PER_S
    if ((s + 1) % 60 === 0) held.push({ minute: (s + 1) / 60, mb: await heap() })
  }
  const settled = held.find(({ minute }) => minute >= SETTLED_AT)?.mb ?? Number.NaN
  const last = held.at(-1)?.mb ?? Number.NaN
  const label = await page.getByRole("img", { name: /^C20|^c20/ }).getAttribute("aria-label")
  report(
    "heap of a page with 20 live series, at the end",
    last,
    "MB",
    settled,
    `minute ${SETTLED_AT} of the same page`,
    {
      minutes: MINUTES,
      readings: told,
      per_minute: held.map(({ mb }) => Number(mb.toFixed(2))),
    },
  )
  expect(label).toMatch(/Latest/)
  expect(last).toBeLessThan(settled * MAY_GROW)
})

/** The readings of one second. */
function second(from: number): object[] {
  return Array.from({ length: PER_S }, (_, i) => {
    const at = from + i * 100
    const values = Object.fromEntries(
      CHANNELS.map((name, c) => [name, Number((5 * Math.sin(at / 3000 + c)).toFixed(3))]),
    )
    return { device: "rig-1", time: new Date(at).toISOString(), values }
  })
}
