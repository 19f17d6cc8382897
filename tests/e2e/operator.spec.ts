/** What an operator does: find, look, acknowledge, shelve, take it back, log, and go on when the connection breaks. */
import { expect, test } from "@playwright/test"
import { pages, USER } from "./paths"

test("acknowledges with one key, and the alert says by whom", async ({ page, request }) => {
  const waiting = await (await request.get("/api/alerts?state=UNACK&limit=1")).json()
  test.skip(waiting.items.length === 0, "the simulated fleet is calm, and nothing waits to be acknowledged")
  await page.goto("/alerts?group=none")
  const row = page.getByRole("row").nth(1)
  await row.getByRole("cell").nth(2).click()
  const device = await row.getByRole("link").first().textContent()
  const { items } = await (await request.get(`/api/alerts?device=${device}`)).json()
  await page.keyboard.press("a")
  await expect(page.getByText("1 alert acknowledged")).toBeVisible()
  await expect
    .poll(async () => {
      const after = await (await request.get(`/api/alerts?device=${device}`)).json()
      return after.items.filter(
        ({ acknowledged_by }: { acknowledged_by: string }) => acknowledged_by === USER.name,
      ).length
    })
    .toBeGreaterThan(0)
  expect(items.length).toBeGreaterThan(0)
})

test("shelves with a reason, and takes it back", async ({ page }) => {
  await page.goto("/alerts?tab=active&group=none")
  const row = page.getByRole("row").nth(1)
  await row.getByRole("checkbox").check()
  await page.keyboard.press("s")
  const dialog = page.getByRole("dialog")
  await expect(dialog.getByRole("button", { name: "Shelve 1 alert" })).toBeDisabled()
  await dialog.getByLabel("Reason").fill("sensor swap")
  await dialog.getByRole("button", { name: "Shelve 1 alert" }).click()
  await expect(page.getByText("1 alert shelved")).toBeVisible()
  await page.getByRole("button", { name: "Undo" }).click()
  await expect(page.getByText("1 alert back from the shelf")).toBeVisible()
})

test("filters with completion; the address keeps the filter", async ({ page }) => {
  await page.goto("/")
  await page.locator("main h1").waitFor({ state: "attached" })
  await page.keyboard.press("/")
  const line = page.getByRole("combobox")
  const offered = (term: string) => page.getByRole("option", { name: term }).first()
  await line.pressSequentially("heal")
  await expect(offered("health")).toBeVisible() // the terms of this fleet have come
  await page.keyboard.press("Tab")
  await expect(line).toHaveValue("health ")
  await line.pressSequentially("< 100 and not sil")
  await expect(offered("silent")).toBeVisible()
  await page.keyboard.press("Tab")
  await expect(line).toHaveValue("health < 100 and not silent ")
  await page.keyboard.press("Enter")
  await expect(page).toHaveURL(/\/devices\?.*filter=health/)
  await expect(page.getByRole("heading", { name: "Devices", level: 1 })).toBeVisible()
  await page.reload()
  await expect(line).toHaveValue(/health < 100 and not silent/)
})

test("a filter that cannot be read says what to write instead", async ({ page }) => {
  await page.goto("/devices?filter=helth%20%3C%2050")
  await expect(page.getByRole("alert")).toContainText("helth")
})

test("the table sorts on the server and leads to a device", async ({ page }) => {
  await page.goto("/devices")
  await page.getByRole("button", { name: "Last reading" }).click()
  await expect(page).toHaveURL(/sort=-event_time/)
  await page.getByRole("row").nth(1).getByRole("cell").nth(2).click()
  await expect(page).toHaveURL(/\/devices\/.+/)
})

test("a device shows its health, its charts, and what was logged", async ({ page, request }) => {
  await page.goto((await pages(request)).device)
  await expect(page.getByRole("img", { name: /Latest/ }).first()).toBeVisible()
  await page.getByRole("button", { name: "7 d" }).click()
  await expect(page).toHaveURL(/range=7d/)
  await page.getByRole("button", { name: "Log maintenance…" }).click()
  const dialog = page.getByRole("dialog")
  await dialog.getByLabel("Note").fill("listened to it")
  await dialog.getByRole("button", { name: "Log it" }).click()
  await expect(page.getByText(/Maintenance logged/)).toBeVisible()
  await expect(page.getByText("listened to it", { exact: true })).toBeVisible() // in the log
  await expect(page.getByText(/by kari: listened to it/)).toBeVisible() // on the timeline
})

test("says when the connection is lost, and that it is back", async ({ page }) => {
  let cut = false
  const open: { close: () => Promise<void> }[] = []
  await page.routeWebSocket("**/api/live", (socket) => {
    if (cut) socket.close()
    else {
      socket.connectToServer()
      open.push(socket)
    }
  })
  await page.goto("/")
  await expect(page.getByText(/^live/)).toBeVisible()
  cut = true
  for (const socket of open) await socket.close()
  await expect(page.getByText(/The connection to Twinfold is lost/)).toBeVisible()
  cut = false
  await page.getByRole("button", { name: "Try now" }).last().click()
  await expect(page.getByText("Live again.", { exact: false })).toBeVisible()
})

test("a million devices on one map, and the one that is critical is found", async ({ page }) => {
  const sites = ["cork", "gdansk", "lyon", "oslo", "porto"].map((site) => ({
    site,
    count: 200_000,
    cells: Buffer.alloc(200_000),
  }))
  sites[3].cells[123_456] = 4
  await page.route("**/api/fleet/map?*", (route) =>
    route.fulfill({
      json: {
        as_of: new Date().toISOString(),
        order: "site,type,id",
        sites: sites.map(({ cells, ...site }) => ({ ...site, cells: cells.toString("base64") })),
      },
    }),
  )
  await page.goto("/")
  const map = page.getByRole("application")
  await expect(map).toHaveAttribute("aria-label", /1,000,000 devices in 5 sites. 1 critical/)
  await expect(page.getByText(/one cell is .* devices, worst shown/)).toBeVisible()
  const red = () =>
    map.locator("canvas").evaluate((canvas: HTMLCanvasElement) => {
      const { data } = (canvas.getContext("2d") as CanvasRenderingContext2D).getImageData(
        0,
        0,
        canvas.width,
        canvas.height,
      )
      let found = 0
      for (let i = 0; i < data.length; i += 4)
        if (data[i] === 0xc4 && data[i + 1] === 0x12 && data[i + 2] === 0x2f) found++
      return found
    })
  await expect.poll(red).toBeGreaterThan(8)
})

test("shortcuts open with ?, and single keys can be turned off", async ({ page }) => {
  await page.goto("/")
  await page.locator("main h1").waitFor({ state: "attached" })
  await page.keyboard.press("?")
  await expect(page.getByRole("dialog", { name: "Keyboard" })).toBeVisible()
  await page.keyboard.press("Escape")
  await page.getByRole("link", { name: "Settings" }).click()
  await page.getByLabel("Single-key shortcuts").selectOption("off")
  await page.getByRole("heading", { name: "Settings" }).click()
  await page.keyboard.press("2")
  await expect(page).toHaveURL(/\/settings$/)
  await page.getByLabel("Single-key shortcuts").selectOption("on")
  await page.getByRole("heading", { name: "Settings" }).click()
  await page.keyboard.press("2")
  await expect(page).toHaveURL(/\/devices/)
})
