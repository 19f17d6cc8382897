/** What a device's page is for: looking closer and back, keeping what is shown, logging and correcting. */
import { readFile } from "node:fs/promises"
import { expect, test } from "@playwright/test"
import { pages } from "./paths"

/** How much of a chart has the colour of the expected band in the light theme. Runs in the page. */
function shareOfBand(canvas: SVGElement | HTMLElement): number {
  if (!(canvas instanceof HTMLCanvasElement)) return 0
  const { width, height } = canvas
  const dots = canvas.getContext("2d")?.getImageData(0, 0, width, height).data ?? []
  let found = 0
  for (let i = 0; i < dots.length; i += 4)
    if (dots[i] === 0xdf && dots[i + 1] === 0xe7 && dots[i + 2] === 0xef) found++
  return found / (width * height)
}

test("dragging over a chart zooms all of them; the address keeps it, and it can be reset", async ({
  page,
  request,
}) => {
  await page.goto((await pages(request)).device)
  const chart = page.getByRole("img", { name: /Latest/ }).first()
  await expect(chart.locator("canvas")).toBeVisible()
  const box = await chart.boundingBox()
  if (!box) throw new Error("the chart has no place")
  const y = box.y + box.height / 2
  await page.mouse.move(box.x + box.width * 0.4, y)
  await page.mouse.down()
  await page.mouse.move(box.x + box.width * 0.7, y, { steps: 5 })
  await page.mouse.up()
  await expect(page).toHaveURL(/start=\d+&end=\d+/)
  await page.reload()
  await page.getByRole("button", { name: "Reset zoom" }).click()
  await expect(page).not.toHaveURL(/start=/)
})

test("the cursor is at one time in every chart", async ({ page, request }) => {
  await page.goto((await pages(request)).device)
  const charts = page.getByRole("figure")
  const chart = page.getByRole("img", { name: /Latest/ }).nth(2)
  await expect(chart.locator("canvas")).toBeVisible()
  await chart.hover()
  const time = /\d\d-\d\d \d\d:\d\d:\d\d/
  await expect(charts.nth(2)).toContainText(time)
  await expect(charts.nth(3)).toContainText(time)
})

test("what the healthy device would show lies behind its series, and is said", async ({ page, request }) => {
  const { device: path } = await pages(request)
  await page.route(
    (url) => url.pathname === `/api${path}`,
    async (route) => {
      const response = await route.fetch()
      const device = await response.json() // one that may still be learning: here it has learned
      for (const each of Object.values<{ value: number | null; expected: unknown }>(device.values)) {
        const around = Math.abs(each.value ?? 0) / 10 + 0.1
        if (each.value !== null) each.expected = { low: each.value - around, high: each.value + around }
      }
      await route.fulfill({ response, json: device })
    },
  )
  await page.goto(path)
  const charts = page.getByRole("figure").filter({ hasText: /expected [\d.,−]+ to [\d.,−]+/ })
  const chart = charts.first().getByRole("img", { name: /In health [\d.,−]+ to [\d.,−]+ are expected/ })
  await expect(chart.locator("canvas")).toBeVisible()
  await expect(page.getByText("the healthy device, in the operating condition that it is in")).toBeVisible()
  await expect.poll(() => chart.locator("canvas").evaluate(shareOfBand)).toBeGreaterThan(0.02)
})

test("what is shown is saved as CSV", async ({ page, request }) => {
  await page.goto((await pages(request)).device)
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Save as CSV" }).click(),
  ])
  expect(file.suggestedFilename()).toMatch(/\.csv$/)
  const lines = (await readFile(await file.path(), "utf8")).trim().split("\r\n")
  expect(lines[0]).toMatch(/^time,/)
  expect(lines.length).toBeGreaterThan(10)
  expect(lines[1].split(",")).toHaveLength(lines[0].split(",").length)
})

test("a log entry is corrected, and stays beside its correction", async ({ page, request }) => {
  const { device } = await pages(request)
  const note = `found nothing ${Date.now()}`
  await request.post(`/api${device}/maintenance`, {
    data: { kind: "inspection", note },
    headers: { "x-requested-with": "twinfold" },
  })
  await page.goto(device)
  const log = page.getByRole("region", { name: "Maintenance log" })
  await expect(log).toContainText(note)
  await log.getByRole("button", { name: "Correct…" }).first().click()
  const dialog = page.getByRole("dialog")
  await dialog.getByLabel("Note").fill("found a loose bolt")
  await expect(dialog.getByRole("button", { name: "Correct it" })).toBeDisabled()
  await dialog.getByLabel("Why it is corrected").fill("looked again")
  await dialog.getByRole("button", { name: "Correct it" }).click()
  await expect(log).toContainText("found a loose bolt")
  await expect(log).toContainText("corrected by")
})

test("the twin is there as the API tells it", async ({ page, request }) => {
  await page.goto((await pages(request)).device)
  await page.getByText("Raw twin").click()
  await expect(page.locator("pre")).toContainText('"baseline"')
})

test("a pump that is likely to fail says when, by what and why", async ({ page }) => {
  await page.goto("/devices?sort=-p_fail_7d&type=centrifugal-pump")
  await page.getByRole("table").getByRole("link").first().click()
  const card = page.getByRole("region", { name: "Prognosis" })
  await expect(card).toContainText("Fails within a week")
  await expect(card).toContainText("Rolling bearing wear")
  await expect(card).toContainText("What moved it most")
  await expect(card.getByRole("img", { name: /Probability of a failure/ })).toBeVisible()
})

test("a dialog opened by the keyboard gives the focus back to its button", async ({ page, request }) => {
  await page.goto((await pages(request)).device)
  const button = page.getByRole("button", { name: "Log maintenance…" })
  await button.press("Enter")
  const dialog = page.getByRole("dialog")
  await expect(dialog.locator(":focus")).toHaveCount(1)
  await page.keyboard.press("Control+k") // leads nowhere else meanwhile
  await expect(page.getByRole("combobox", { name: "Go to or do" })).toHaveCount(0)
  await page.keyboard.press("Escape")
  await expect(dialog).toHaveCount(0)
  await expect(button).toBeFocused()
})
