/** What people do so that others are told: a channel, a try, a route, and what became of it. */
import { expect, test } from "@playwright/test"
import { expectAccessible, expectNothingSideways } from "./checks"

test("a channel is made, tried and taken away", async ({ page }) => {
  const name = `on call ${Date.now()}`
  await page.goto("/notifications?tab=channels")
  await page.getByRole("button", { name: "Add a channel…" }).click()
  const dialog = page.getByRole("dialog")
  await dialog.getByLabel("Name").fill(name)
  await dialog.getByLabel("Address").fill("https://hooks.invalid/in/4711")
  await dialog.getByLabel("Whose it is").fill("kari")
  await dialog.getByRole("button", { name: "Save the channel" }).click()
  await expect(page.getByRole("status").locator("code")).not.toBeEmpty()
  await page.getByRole("button", { name: "Done" }).click()

  await page.getByRole("button", { name: `Send a test to ${name}` }).click()
  await expect(page.getByText(`${name} did not take the test`)).toBeVisible()
  await page.getByRole("button", { name: "Dismiss" }).last().click()

  await page.getByRole("button", { name: `Change ${name}` }).click()
  await dialog.getByLabel("In use").uncheck()
  await dialog.getByRole("button", { name: "Save the channel" }).click()
  await expect(page.getByRole("row", { name }).getByText("off")).toBeVisible()

  await page.getByRole("link", { name: "Deliveries" }).click()
  await page.getByRole("button", { name: "failed" }).click()
  await expect(page).toHaveURL(/tab=deliveries&state=failed|state=failed&tab=deliveries/)
  await expect(page.getByRole("row", { name }).first()).toBeVisible()

  await page.goto("/notifications?tab=channels")
  await page.getByRole("button", { name: `Delete ${name}`, exact: true }).click()
  await page.getByRole("button", { name: `Delete ${name}, for sure` }).click()
  await expect(page.getByRole("row", { name })).toHaveCount(0)
})

test("a route is made with steps and hours, changed, and taken away", async ({ page, request }) => {
  const name = `nights ${Date.now()}`
  await page.goto("/notifications")
  await page.getByRole("button", { name: "Add a route…" }).click()
  const dialog = page.getByRole("dialog")
  await dialog.getByLabel("Name").fill(name)
  await dialog.getByLabel("Only at these sites").fill("oslo, porto")
  await dialog.getByRole("button", { name: "Save the route" }).click()
  await expect(dialog.getByRole("alert")).toContainText("Every step tells somebody")
  await dialog.getByLabel("Add somebody…").selectOption("role:operator")
  await dialog.getByRole("button", { name: "Add a step" }).click()
  await dialog.getByLabel("Add somebody…").last().selectOption("role:engineer")
  await dialog.getByRole("group", { name: "Quiet hours" }).getByRole("button", { name: "Add hours" }).click()
  await dialog.getByRole("button", { name: "Sun" }).click()
  await dialog.getByRole("button", { name: "Save the route" }).click()
  const row = page.getByRole("row", { name })
  await expect(row).toContainText("at oslo, porto")
  await expect(row).toContainText("after 15")
  const kept = async () =>
    (await (await request.get("/api/notifications/routes")).json()).items.find(
      (each: { name: string }) => each.name === name,
    )
  expect(await kept()).toMatchObject({
    sites: ["oslo", "porto"],
    steps: [
      { after_s: 0, to: ["role:operator"] },
      { after_s: 900, to: ["role:engineer"] },
    ],
    quiet: [{ days: ["mon", "tue", "wed", "thu", "fri", "sat"], start: "22:00", end: "06:00" }],
  })

  await page.getByRole("button", { name: `Change ${name}` }).click()
  await dialog.getByLabel("Least urgent that is told").selectOption("critical")
  await dialog.getByRole("button", { name: "Save the route" }).click()
  await expect(row).toContainText("critical only")
  await page.getByRole("button", { name: `Delete ${name}`, exact: true }).click()
  await page.getByRole("button", { name: `Delete ${name}, for sure` }).click()
  await expect(row).toHaveCount(0)
})

test("the form of a route has no accessibility violation", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 })
  await page.goto("/notifications")
  await page.getByRole("button", { name: "Add a route…" }).click()
  await page.getByRole("button", { name: "Add hours" }).last().click()
  await expectAccessible(page)
  await expectNothingSideways(page)
})
