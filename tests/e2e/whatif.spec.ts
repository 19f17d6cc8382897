/** What-ifs: asked about a filtered list of devices, watched, left and come back to, compared, and taken along. */
import { readFile } from "node:fs/promises"
import { expect, type Page, test } from "@playwright/test"
import { another } from "./people"

/** A short run of some pumps, on two cores. */
const RUN_MS = 180_000
test.describe.configure({ timeout: 2 * RUN_MS + 60_000 })

const field = (page: Page, label: string) => page.getByLabel(label, { exact: true })

/** Fill in what makes a scenario small, and wait until it may start. */
async function shorten(page: Page, title: string): Promise<void> {
  await field(page, "The question, as people read it").fill(title)
  await field(page, "Horizon, h").fill("48")
  await field(page, "Step, s").fill("300")
  await field(page, "Replications of each arm").fill("4")
  await expect(page.getByText("It can start.")).toBeVisible()
  await expect(page.getByText(/2 arms × 4 replications × .* devices?: about/)).toBeVisible()
}

async function start(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Start", exact: true }).click()
  await expect(page).toHaveURL(/\/whatif\/(?!new)[^/]+$/)
}

async function expectDone(page: Page): Promise<void> {
  await expect(page.getByText(/from 4 futures of each arm/)).toBeVisible({ timeout: RUN_MS })
}

test("devices of a list are asked about, watched, left, compared and taken along", async ({ page }) => {
  await page.goto("/devices?type=centrifugal-pump")
  await page.getByRole("button", { name: "What if…" }).click()
  await expect(page).toHaveURL(/\/whatif\/new\?devices=/)
  await expect(page.getByRole("combobox", { name: "Which devices" })).toHaveValue("type = 'centrifugal-pump'")
  await shorten(page, "Which pays, early or late?")

  await page.getByRole("link", { name: "YAML" }).click()
  const text = page.getByRole("textbox", { name: "Scenario as YAML" })
  await expect(text).toHaveValue(/horizon_h: 48/)
  const right = await text.inputValue()
  await text.fill(right.replace("horizon_h: 48", "horizon_h: never"))
  await expect(page.getByText("1 problem to mend before it can start")).toBeVisible()
  await expect(page.getByRole("button", { name: "Start", exact: true })).toBeDisabled()
  await page.getByRole("link", { name: "Form" }).click()
  await page.getByRole("button", { name: /^Go to line/ }).click()
  await expect(text).toBeFocused()
  const chosen = await text.evaluate((area: HTMLTextAreaElement) =>
    area.value.slice(area.selectionStart, area.selectionEnd),
  )
  expect(chosen).toBe("horizon_h: never")
  await text.fill(right)
  await expect(page.getByText("It can start.")).toBeVisible()
  await start(page)

  await page.goto("/")
  await page.getByRole("link", { name: "What-if" }).click()
  const row = page.getByRole("row", { name: /Which pays, early or late\?/ }).first()
  await row.getByRole("link", { name: "Which pays, early or late?" }).click()
  await expectDone(page)
  const results = page.getByRole("region", { name: "Results" }).last()
  await expect(results.getByRole("row", { name: /^Cost .*better in \d of 4 futures/ })).toBeVisible()
  await expect(page.getByRole("img", { name: /^Cost over time, as-is/ })).toBeVisible()
  await expect(page.getByRole("heading", { name: "How far to trust this" })).toBeVisible()

  await page.getByRole("button", { name: "Together" }).click()
  await expect(page).toHaveURL(/drawn=together/)
  await field(page, "Metric drawn").selectOption("Failures")
  await expect(page).toHaveURL(/metric=failures/)

  await page.getByRole("button", { name: "Change and run again" }).click()
  await expect(page).toHaveURL(/\/whatif\/new\?from=/)
  await shorten(page, "And with other luck?")
  await field(page, "Seed").fill("7")
  await expect(page.getByText("It can start.")).toBeVisible()
  await start(page)
  await expectDone(page)
  const others = page.getByRole("combobox", { name: "Compare with" })
  const first = others.locator("option", { hasText: "Which pays, early or late?" }).first()
  await others.selectOption({ value: (await first.getAttribute("value")) ?? "" })
  await expect(page).toHaveURL(/against=/)
  const beside = page.getByRole("region", { name: /^Beside Which pays/ })
  await expect(beside.getByRole("row", { name: /^earlier Which pays/ })).toBeVisible()

  const table = page.waitForEvent("download")
  await page.getByRole("link", { name: "Metrics by replication as CSV" }).click()
  const lines = (await readFile(await (await table).path(), "utf8")).trim().split("\n")
  expect(lines[0]).toMatch(/arm.*replication.*metric.*value/)
  expect(lines.length).toBe(1 + 2 * 4 * 4)
  const picture = page.waitForEvent("download")
  await page.getByRole("button", { name: "Save as PNG" }).click()
  expect((await picture).suggestedFilename()).toMatch(/\.png$/)

  await page.getByRole("button", { name: "Delete", exact: true }).click()
  await page.getByRole("button", { name: "Delete, for sure" }).click()
  await expect(page).toHaveURL("/whatif")
  await expect(page.getByText("And with other luck? is deleted")).toBeVisible()
})

test("one future is looked into, with what a device goes through", async ({ page }) => {
  await page.goto("/whatif")
  await page.getByRole("link", { name: "Which pays, early or late?" }).first().click()
  await expectDone(page)
  const card = page.getByRole("region", { name: "Look into one future" })
  await card.getByText("Least healthy of them now:").locator("..").getByRole("button").first().click()
  await card.getByRole("button", { name: "Run again" }).click()
  await expect(card.getByRole("img", { name: /^Health of / })).toBeVisible({ timeout: RUN_MS })
})

test("an experiment that runs is stopped, and what it came to stays", async ({ page }) => {
  await page.goto("/whatif/new?devices=type%20%3D%20'centrifugal-pump'")
  await field(page, "Replications of each arm").fill("400")
  await expect(page.getByText("It can start.")).toBeVisible()
  await start(page)
  await page.getByRole("button", { name: "Stop" }).click()
  await expect(page.getByRole("status").getByText("stopped")).toBeVisible({ timeout: RUN_MS })
})

test("a device is asked about from its page", async ({ page, request }) => {
  const { items } = await (await request.get("/api/devices?sort=health&limit=1")).json()
  await page.goto(`/devices/${encodeURIComponent(items[0].id)}`)
  await page.getByRole("button", { name: "What if…" }).click()
  await expect(page.getByRole("combobox", { name: "Which devices" })).toHaveValue(`id = '${items[0].id}'`)
})

test("who may not ask sees what was asked", async ({ browser, request }) => {
  const page = await another(browser, request, "whatif-reader")
  await page.goto("/devices")
  await expect(page.getByRole("heading", { name: "Devices", level: 1 })).toBeVisible()
  await expect(page.getByRole("button", { name: "What if…" })).toHaveCount(0)
  await page.getByRole("link", { name: "What-if" }).click()
  await page.getByRole("link", { name: "Which pays, early or late?" }).first().click()
  await expectDone(page)
  await expect(page.getByRole("button", { name: "Change and run again" })).toHaveCount(0)
  await page.goto("/whatif/new")
  await expect(page.getByText("Engineers ask; what they asked is shown here.")).toBeVisible()
  await page.context().close()
})
