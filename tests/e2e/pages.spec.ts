/** The shell around every page: live figures, and addresses that lead nowhere. */
import { expect, test } from "@playwright/test"

test("figures are live, with the age of the screen", async ({ page }) => {
  await page.goto("/")
  await expect(page.getByText(/^live · .* behind$/)).toBeVisible()
  await expect(page.getByRole("heading", { name: "Devices reporting" })).toBeVisible()
})

test("an address that leads nowhere says so", async ({ page }) => {
  await page.goto("/devices/no-such-device")
  await expect(page.getByText("No device no-such-device in this fleet")).toBeVisible()
  await page.goto("/nowhere")
  await expect(page.getByText("There is no page at this address")).toBeVisible()
})
