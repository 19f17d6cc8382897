/** One thing asked of many devices: selected, counted first, done, and told what was refused. */
import { type APIRequestContext, expect, test } from "@playwright/test"

const HEADERS = { "x-requested-with": "twinfold" }

/** Three devices at a site of their own that nobody else asks anything of; gives the site. */
async function berth(request: APIRequestContext): Promise<string> {
  const site = `quay ${Date.now()}`
  const types = await (await request.get("/api/types")).json()
  const { name: type } = types.find(({ commands }: { commands: unknown[] }) => commands.length > 0)
  const devices = ["a", "b", "c"].map((letter) => ({ id: `${site}/${letter}`, type, site }))
  const made = await request.post("/api/devices", { data: { devices }, headers: HEADERS })
  const { cursor } = await made.json()
  await expect
    .poll(async () => {
      const query = new URLSearchParams({ filter: `site = '${site}'`, cursor })
      return (await (await request.get(`/api/devices?${query}`)).json()).total
    })
    .toBe(3)
  return site
}

test("many devices are selected, counted, logged for, asked and retired", async ({ page, request }) => {
  const site = await berth(request)
  const filter = encodeURIComponent(`site = '${site}'`)
  await page.goto(`/devices?sort=id&filter=${filter}`)
  await expect(page.getByRole("checkbox", { name: `Select ${site}/c` })).toBeVisible()

  await page.keyboard.press("j")
  await page.keyboard.press("x")
  await expect(page.getByRole("checkbox", { name: `Select ${site}/a` })).toBeChecked()
  await page.getByRole("checkbox", { name: `Select ${site}/b` }).check()
  await expect(page.getByText("2 devices selected")).toBeVisible()
  await page.getByRole("button", { name: "Log maintenance…" }).click()
  const dialog = page.getByRole("dialog")
  await expect(dialog).toContainText("Log maintenance for 2 devices")
  await dialog.getByLabel("Note").fill("after the storm")
  await dialog.getByRole("button", { name: "Log it for 2 devices" }).click()
  await expect(page.getByText("Maintenance logged for 2 devices")).toBeVisible()
  await expect(page.getByText("2 devices selected")).toHaveCount(0)
  const logged = await (await request.get(`/api/maintenance?${new URLSearchParams({ site })}`)).json()
  expect(logged.items.map(({ note }: { note: string }) => note)).toEqual([
    "after the storm",
    "after the storm",
  ])

  await page.getByRole("checkbox", { name: "Select all 3 that match" }).check()
  await page.getByRole("checkbox", { name: `Select ${site}/b` }).uncheck()
  await page.getByRole("button", { name: "Retire…" }).click()
  const retire = dialog.getByRole("button", { name: "Retire 2 devices" })
  await expect(retire).toBeDisabled()
  await dialog.getByLabel("Type 2 to confirm").fill("3")
  await expect(retire).toBeDisabled()
  await dialog.getByLabel("Type 2 to confirm").fill("2")
  await retire.click()
  await expect(page.getByText("2 devices retired")).toBeVisible()

  await page.getByRole("checkbox", { name: `Select ${site}/a` }).check()
  await page.getByRole("button", { name: "Select all 3 that match" }).click()
  await page.getByRole("button", { name: "Send command…" }).click()
  await dialog.getByLabel("Command").selectOption({ index: 0 })
  await dialog.getByRole("button", { name: "Send it to 3 devices" }).click()
  await expect(page.getByText("Command sent to 1 device", { exact: true })).toBeVisible()
  await expect(page.getByText(/2 devices were refused: .*retired/)).toBeVisible()
  const sent = await (await request.get(`/api/devices/${encodeURIComponent(`${site}/b`)}/commands`)).json()
  expect(sent.items).toHaveLength(1)
})

test("the table goes to row after row, and stays there", async ({ page, request }) => {
  const { total } = await (await request.get("/api/devices?limit=1")).json()
  await page.goto("/devices?sort=id")
  for (const row of [total - 40, Math.floor(total / 2), 1]) {
    const { items } = await (await request.get(`/api/devices?sort=id&limit=1&offset=${row - 1}`)).json()
    await page.getByLabel(/Go to row/).fill(String(row))
    await page.keyboard.press("Enter")
    const shown = page.locator(`[aria-rowindex="${row + 1}"]`)
    await expect(shown.getByRole("link", { name: items[0].id })).toBeInViewport()
    await expect(page).toHaveURL(new RegExp(`row=${row}\\b`))
    await expect(shown).toBeInViewport()
  }
})
