/** One line that leads anywhere, by the keyboard alone; and the language it speaks. */
import { expect, test } from "@playwright/test"
import { expectAccessible, expectNothingSideways } from "./checks"

test("a page, a device and a filter are reached without a mouse", async ({ page, request }) => {
  const [{ id }] = (await (await request.get("/api/devices?limit=1")).json()).items
  await page.goto("/")
  await page.locator("main h1").waitFor({ state: "attached" })
  const line = page.getByRole("dialog").getByRole("combobox")
  await page.keyboard.press("Control+k")
  await line.pressSequentially("system")
  await page.keyboard.press("Enter")
  await expect(page).toHaveURL(/\/admin\/system$/)

  await page.keyboard.press("Control+k")
  await line.pressSequentially(id)
  await expect(page.getByRole("option", { name: new RegExp(`^${id}`) }).first()).toBeVisible() // the server said so
  await page.keyboard.press("Enter")
  await expect(page).toHaveURL(new RegExp(`/devices/${id}`))

  await page.keyboard.press("Control+k")
  await line.fill("health < 90")
  await page.keyboard.press("Enter")
  await expect(page).toHaveURL(/\/devices\?filter=/)

  await page.keyboard.press("Control+k")
  await expect(line).toBeFocused()
  await page.keyboard.press("Escape")
  await expect(page.getByRole("dialog")).toHaveCount(0)
})

test("an alert that waits is acknowledged by name", async ({ page, request }) => {
  const [alert] = (await (await request.get("/api/alerts?state=UNACK&limit=1")).json()).items
  await page.goto("/")
  await page.locator("main h1").waitFor({ state: "attached" })
  await page.keyboard.press("Control+k")
  await page.getByRole("dialog").getByRole("combobox").fill(`acknowledge ${alert.device_id}`)
  await page
    .getByRole("option", { name: /^Acknowledge/ })
    .first()
    .click()
  await expect(page.getByText("1 alert acknowledged")).toBeVisible()
})

test("the language is changed on the way, figures and texts with it, and back", async ({ page }) => {
  await page.goto("/devices")
  await expect(page.getByRole("heading", { name: "Devices", level: 1 })).toBeVisible()
  const choose = async (typed: string) => {
    await page.keyboard.press("Control+k")
    await page.getByRole("dialog").getByRole("combobox").fill(typed)
    await page.keyboard.press("Enter")
  }
  await choose("norsk")
  await expect(page.getByRole("heading", { name: "Enheter", level: 1 })).toBeVisible()
  await expect(page.getByRole("button", { name: "Siste måling" })).toBeVisible()
  await expect(page.locator("html")).toHaveAttribute("lang", "nb")
  await page.reload()
  await expect(page.getByRole("heading", { name: "Enheter", level: 1 })).toBeVisible()
  await choose("English")
  await expect(page.getByRole("heading", { name: "Devices", level: 1 })).toBeVisible()
})

for (const width of [1440, 390]) {
  for (const colorScheme of ["light", "dark"] as const) {
    test(`the palette has no accessibility violation, ${colorScheme}, ${width} px`, async ({ page }) => {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 844 })
      await page.goto("/")
      await page.locator("main h1").waitFor({ state: "attached" })
      await page.keyboard.press("Control+k")
      await expect(page.getByRole("option").first()).toBeVisible()
      await expectAccessible(page)
      await expectNothingSideways(page)
    })
  }
}
