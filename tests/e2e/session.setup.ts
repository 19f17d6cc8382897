/** Logs in once, as a person does; the other tests go on in that session. */
import { expect, test } from "@playwright/test"
import { SESSION, USER } from "./paths"

test("a person logs in and lands where they were going", async ({ page }) => {
  await page.goto("/devices?sort=-event_time")
  await page.getByLabel("Name", { exact: true }).fill(USER.name)
  await page.getByLabel("Password", { exact: true }).fill(USER.password)
  await page.keyboard.press("Enter")
  await expect(page.getByRole("heading", { name: "Devices", level: 1 })).toBeVisible()
  await expect(page).toHaveURL(/\/devices\?sort=-event_time/)
  await expect(page.getByText(/^live/)).toBeVisible()
  await page.context().storageState({ path: SESSION })
})
