/** Versions of models: which is in force, whether a challenger is better, and putting one in force and taking it back. */
import { expect, test } from "@playwright/test"

test("a challenger is looked at, put in force with a reason, and rolled back", async ({ page }) => {
  await page.goto("/")
  await page.getByRole("link", { name: "Models" }).click()
  const pumps = page.getByRole("region", { name: "Centrifugal pump" }).first()
  await expect(pumps.getByText("Version 1 is in force")).toBeVisible()
  await page.getByRole("link", { name: "Version 2" }).click()
  await expect(page).toHaveURL("/models/centrifugal-pump/2")
  await expect(page.getByText("challenger", { exact: true })).toBeVisible()
  await expect(page.getByText("Version 2 is better.")).toBeVisible()
  await expect(page.getByRole("img", { name: /^Reliability: \d+ points/ })).toBeVisible()

  await page.getByRole("button", { name: "Within 7 d" }).click()
  await expect(page).toHaveURL(/horizon=168/)
  await page.reload()
  await expect(page.getByRole("button", { name: "Within 7 d" })).toHaveAttribute("aria-pressed", "true")

  await page.getByRole("button", { name: "Put version 2 in force" }).click()
  const dialog = page.getByRole("dialog")
  await expect(dialog.getByText("Its Brier score is")).toBeVisible()
  await dialog.getByLabel("Why").fill("hears bearings earlier")
  await dialog.getByRole("button", { name: "Put in force" }).click()
  await expect(page.getByText("Version 2 of centrifugal-pump is in force")).toBeVisible()
  await expect(page.getByRole("cell", { name: "hears bearings earlier" })).toBeVisible()
  await expect(page.getByText("Version 2 is better.")).toHaveCount(0)

  await page.getByRole("button", { name: "Roll back…" }).click()
  await dialog.getByRole("button", { name: "Roll back" }).click()
  await expect(page.getByText("Version 1 of centrifugal-pump is in force")).toBeVisible()
  await expect(page.getByRole("cell", { name: "back to version 1" })).toBeVisible()
  await expect(page.getByRole("button", { name: "Put version 2 in force" })).toBeVisible()
})

test("what there is nothing to go back to is said, and nothing has changed", async ({ page }) => {
  await page.goto("/models/centrifugal-pump/1")
  await page.getByRole("button", { name: "Roll back…" }).click()
  const dialog = page.getByRole("dialog")
  await dialog.getByRole("button", { name: "Roll back" }).click()
  await expect(dialog.getByRole("alert")).toContainText("promote a version instead")
  await dialog.getByRole("button", { name: "Cancel" }).click()
  await expect(page.getByText("in force", { exact: true })).toBeVisible()
})

test("where there is no model, it says how to train one; where there is none of a number, which there are", async ({
  page,
}) => {
  await page.goto("/models/centrifugal-pump/9")
  await expect(page.getByText("no model of 'centrifugal-pump' has the number 9")).toBeVisible()
  await page.route("**/api/models?*", (route) => route.fulfill({ json: { items: [], total: 0 } }))
  await page.goto("/models")
  await expect(page.getByText("twinfold train TYPE")).toBeVisible()
})
