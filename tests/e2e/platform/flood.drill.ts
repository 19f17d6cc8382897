/** Ten thousand alerts in ten seconds while somebody works at the console: each act is answered, no alert is lost. */
import { expect, type Page, test } from "@playwright/test"
import { quantile, report } from "./figures"
import { Platform } from "./platform"

const COOLER = `
name: cooler
version: 1
channels: [{name: temperature, unit: Cel, low: -40, high: 200, resolution: 0.1}]
interval_s: 60
rules:
  - {name: hot, when: temperature > 90, priority: critical, consequence: the plant stops, response: open the bypass, on_delay_s: 0, off_delay_s: 0}
`
const DEVICES = Array.from({ length: 10_000 }, (_, i) => `cooler-${String(i).padStart(5, "0")}`)
const BURSTS = 10

let platform: Platform

test.beforeAll(async () => {
  platform = await Platform.up({ types: { cooler: COOLER } })
  await platform.register("cooler", DEVICES)
  for (let i = 0; i < DEVICES.length; i += 1000)
    await platform.send(DEVICES.slice(i, i + 1000), { temperature: 60 })
})

test.afterAll(async () => {
  await platform?.stop()
})

test("acts at the console are answered all through a flood", async ({ browser }) => {
  const page = await (await platform.loggedIn(browser)).newPage()
  await page.addInitScript(watchActs)
  await platform.send(DEVICES.slice(0, 40), { temperature: 95 })
  await page.goto("/alerts?tab=active&group=none")
  await expect(page.getByRole("row").nth(20)).toBeVisible()
  for (let i = 0; i < 10; i++) await act(page, i)
  const calm = await taken(page)

  const flood = raise()
  let acts = 0
  let raised = false
  flood.then(() => {
    raised = true
  })
  while (!raised) await act(page, acts++)
  await flood
  const during = await taken(page)

  await expect(page.getByRole("table")).toHaveAttribute("aria-rowcount", String(DEVICES.length + 1))
  report(
    "act at the console in a flood, p98",
    quantile(during, 0.98),
    "ms",
    quantile(calm, 0.98),
    "the same acts in calm",
    {
      floor: 200,
      most: Math.max(...during),
      p50: quantile(during, 0.5),
      events: during.length,
      acts,
      alerts: DEVICES.length,
    },
  )
})

/** All devices at once too hot, a tenth of them each second. */
async function raise(): Promise<void> {
  const began = Date.now()
  for (let burst = 0; burst < BURSTS; burst++) {
    const wait = began + burst * 1000 - Date.now()
    await new Promise((done) => setTimeout(done, Math.max(0, wait)))
    const size = DEVICES.length / BURSTS
    await platform.send(DEVICES.slice(burst * size, (burst + 1) * size), { temperature: 95 })
  }
}

/** What an operator does between two thoughts: go down, select, look at another tab, open a row. */
async function act(page: Page, number: number): Promise<void> {
  switch (number % 5) {
    case 0:
      await page.keyboard.press("j")
      break
    case 1:
      await page.keyboard.press("x")
      break
    case 2:
      await page.getByRole("row").nth(3).getByRole("cell").nth(2).click()
      break
    case 3:
      await page.keyboard.press("k")
      break
    default:
      await page.keyboard.press("x")
  }
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))
}

/** Runs in the page: from each key or click to the next picture, ms, as browsers count it (Event Timing). */
function watchActs(): void {
  const durations: number[] = []
  Object.assign(window, { durations })
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries())
      if ((entry as PerformanceEntry & { interactionId?: number }).interactionId)
        durations.push(entry.duration)
  }).observe({ type: "event", buffered: true, durationThreshold: 16 } as PerformanceObserverInit)
}

/** What was observed since it was last asked. Acts faster than the observer's least, 16 ms, are not among them. */
async function taken(page: Page): Promise<number[]> {
  return page.evaluate(() => (window as unknown as { durations: number[] }).durations.splice(0))
}
