/** An operator's day against a whole platform: a fault grows, an alert comes, two people see it, and the server dies. */
import { readFile } from "node:fs/promises"
import { type Browser, expect, type Page, test } from "@playwright/test"
import { another } from "../people"
import { PASSWORD, Platform } from "./platform"

/** Twins know 40 minutes of their past at the start. Then a bearing of one pump wears out within a minute or two. */
const FLEET = `
name: story
seed: 11
speedup: 100
sites: [{name: oslo, title: Oslo, latitude: 60, longitude: 10, climate: {mean_c: 6, yearly_c: 11, daily_c: 3, weather_c: 3}}]
devices: [{type: centrifugal-pump, count: 40, id: "pump-{n:02}", interval_s: 1}]
injections: [{devices: "pump-07", start_s: 2440, mode: bearing-wear, damage: 0.3, speed: 12000}]
`
const SICK = "pump-07"
const ALERT = "Vibration in zone D"
const LATER = "Vibration in zone C"
const GROWS = { timeout: 300_000 }

let platform: Platform

test.beforeAll(async () => {
  platform = await Platform.up({ fleet: FLEET })
})

test.afterAll(async () => {
  await platform?.stop()
})

test("from the first log-in to the exported history, with a second operator, over a killed server", async ({
  browser,
}) => {
  const page = await firstLogIn(browser)
  await page.evaluate(() => Object.assign(window, { opened: true }))

  await test.step("a fault grows on the device's page", async () => {
    await page.keyboard.press("Control+k")
    await page.getByRole("dialog").getByRole("combobox").fill(SICK)
    await page
      .getByRole("option", { name: new RegExp(`^${SICK}`) })
      .first()
      .click()
    await expect(page.getByRole("heading", { name: SICK })).toBeVisible()
    const before = await latest(page, "Vibration")
    await expect.poll(() => latest(page, "Vibration"), GROWS).toBeGreaterThan(before + 2)
  })

  const colleague = await another(browser, page.request, "ola", platform.url)
  await test.step("the alert pops up in both browsers without a reload", async () => {
    await page
      .getByRole("link", { name: /^Alerts/ })
      .first()
      .click()
    await colleague.goto(`${platform.url}/alerts?group=none`)
    for (const each of [page, colleague]) await expect(rowOf(each)).toBeVisible(GROWS)
    // The limit below was passed first but asks for longer: its alert follows, alone, and is on the screen just as soon.
    for (const each of [page, colleague])
      await expect(each.getByRole("row").filter({ hasText: SICK }).filter({ hasText: LATER })).toBeVisible(
        GROWS,
      )
  })

  await test.step("one acknowledges, the other sees who", async () => {
    await rowOf(page).getByRole("cell").nth(2).click()
    await page.keyboard.press("a")
    await expect(page.getByText("1 alert acknowledged")).toBeVisible()
    await colleague.goto(`${platform.url}/alerts?tab=active&group=none`)
    await rowOf(colleague).getByRole("cell").nth(2).click()
    await expect(colleague.getByRole("region", { name: "What was done" })).toContainText("admin")
  })

  await test.step("it is shelved with a reason, and gone from the other's list", async () => {
    await page.goto(`${platform.url}/alerts?tab=active&group=none`)
    await page.evaluate(() => Object.assign(window, { opened: true }))
    await rowOf(page).getByRole("checkbox").check()
    await page.keyboard.press("s")
    const dialog = page.getByRole("dialog")
    await dialog.getByLabel("Reason").fill("the bearing is on its way")
    await dialog.getByRole("button", { name: "Shelve 1 alert" }).click()
    await expect(page.getByText("1 alert shelved")).toBeVisible()
  })

  await test.step("the device is found by a filter, its history read and kept", async () => {
    await page
      .getByRole("link", { name: /^Devices/ })
      .first()
      .click()
    await page.keyboard.press("/")
    await page.getByRole("combobox", { name: "Search or filter devices" }).pressSequentially(`id = '${SICK}'`)
    await page.keyboard.press("Enter")
    await page.getByRole("row").filter({ hasText: SICK }).getByRole("cell").nth(2).click()
    await page.getByRole("button", { name: "1 h", exact: true }).click()
    const file = page.waitForEvent("download")
    await page.getByRole("button", { name: "Save as CSV" }).click()
    const lines = (await readFile(await (await file).path(), "utf8")).trim().split("\n")
    expect(lines.length).toBeGreaterThan(30)
    expect(lines[0]).toContain("vibration")
  })

  await test.step("the server is killed and comes back: no page was loaded anew, no alert is lost", async () => {
    await page
      .getByRole("link", { name: /^Alerts/ })
      .first()
      .click()
    const { total } = await (await page.request.get("/api/alerts?limit=1")).json()
    await platform.kill()
    await expect(page.getByText(/The connection to Twinfold is lost/)).toBeVisible()
    await platform.start()
    await expect(page.getByText("Live again.", { exact: false })).toBeVisible()
    expect((await (await page.request.get("/api/alerts?limit=1")).json()).total).toBeGreaterThanOrEqual(total)
    // A machine that was well fails while somebody looks: that is told over the new connection.
    await platform.register("centrifugal-pump", ["spare-01"])
    await shaken("spare-01")
    await expect(page.getByRole("row").filter({ hasText: "spare-01" }).first()).toBeVisible()
    expect(await page.evaluate(() => "opened" in window)).toBe(true)
  })
})

/** The admin's first visit: the password for one use, then one of their own. */
async function firstLogIn(browser: Browser): Promise<Page> {
  const page = await (await browser.newContext({ baseURL: platform.url })).newPage()
  const { name, password } = platform.admin
  await page.goto("/")
  await page.getByLabel("Name", { exact: true }).fill(name)
  await page.getByLabel("Password", { exact: true }).fill(password)
  await page.keyboard.press("Enter")
  await page.getByLabel("The password you logged in with").fill(password)
  await page.getByLabel("New password", { exact: true }).fill(PASSWORD)
  await page.getByLabel("New password, again").fill(PASSWORD)
  await page.getByRole("button", { name: "Use this password" }).click()
  await expect(page.getByRole("heading", { name: "Devices reporting" })).toBeVisible()
  return page
}

function rowOf(page: Page) {
  return page.getByRole("row").filter({ hasText: SICK }).filter({ hasText: ALERT }).first()
}

/** What a chart says that its channel is now; 0 as long as there is no chart. */
async function latest(page: Page, channel: string): Promise<number> {
  const chart = page.getByRole("img", { name: new RegExp(`^${channel}.*Latest`) }).first()
  const label = (await chart.count()) > 0 ? await chart.getAttribute("aria-label") : ""
  return Number(/Latest ([\d.]+)/.exec(label ?? "")?.[1] ?? 0)
}

/** A device that vibrates as no pump may, for longer than its rule waits. */
async function shaken(device: string): Promise<void> {
  const start = Date.now() - 600_000
  const readings = Array.from({ length: 120 }, (_, i) => ({
    device,
    time: new Date(start + i * 5000).toISOString(),
    values: { vibration: 20 },
  }))
  await platform.post("/api/readings", { readings })
}
