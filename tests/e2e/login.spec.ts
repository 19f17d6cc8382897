/** The way in and out: a wrong password, a first password, logging out, and a session that ends elsewhere. */
import AxeBuilder from "@axe-core/playwright"
import { expect, test } from "@playwright/test"

const OURS = { "x-requested-with": "twinfold" }
const CHOSEN = "seven brass kettles on a shelf"

test.describe("without a session", () => {
  test.use({ storageState: { cookies: [], origins: [] } })

  test("nothing of the fleet is shown or answered", async ({ page, request }) => {
    for (const path of ["/api/devices", "/api/alerts", "/api/fleet/summary", "/metrics"])
      expect((await request.get(path)).status()).toBe(401)
    await page.goto("/")
    await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible()
    await expect(page.getByRole("navigation")).toHaveCount(0)
  })

  test("a wrong password says what to do, and nothing more", async ({ page }) => {
    await page.goto("/")
    await page.getByLabel("Name", { exact: true }).fill("nobody")
    await page.getByLabel("Password", { exact: true }).fill("wrong")
    await page.getByRole("button", { name: "Log in" }).click()
    await expect(page.getByRole("alert")).toContainText("not right")
  })

  for (const scheme of ["light", "dark"] as const) {
    test(`the card has no accessibility violation, ${scheme}`, async ({ page }) => {
      await page.emulateMedia({ colorScheme: scheme })
      await page.setViewportSize({ width: 390, height: 844 })
      await page.goto("/")
      await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible()
      const { violations } = await new AxeBuilder({ page })
        .withTags(["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"])
        .analyze()
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 160))])).toEqual([])
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390)
    })
  }
})

test("a newcomer chooses a password, logs out, and comes back with it", async ({ browser, page }) => {
  const name = `ola-${Date.now()}`
  const made = await page.request.post("/api/users", { headers: OURS, data: { name, role: "viewer" } })
  expect(made.status()).toBe(201)
  const { password } = await made.json()
  const own = await browser.newContext({ storageState: { cookies: [], origins: [] } })
  const theirs = await own.newPage()
  const logIn = async (secret: string) => {
    await theirs.getByLabel("Name", { exact: true }).fill(name)
    await theirs.getByLabel("Password", { exact: true }).fill(secret)
    await theirs.getByRole("button", { name: "Log in" }).click()
  }
  await theirs.goto("/")
  await logIn(password)
  await expect(theirs.getByRole("heading", { name: "Choose a password" })).toBeVisible()
  await theirs.getByLabel("The password you logged in with").fill(password)
  await theirs.getByLabel("New password", { exact: true }).fill(CHOSEN)
  await theirs.getByLabel("New password, again").fill("something else")
  await theirs.getByRole("button", { name: "Use this password" }).click()
  await expect(theirs.getByText("The two are not the same")).toBeVisible()
  await theirs.getByLabel("New password, again").fill(CHOSEN)
  await theirs.getByRole("button", { name: "Use this password" }).click()
  await expect(theirs.getByRole("heading", { name: "Devices reporting" })).toBeVisible()

  await theirs.getByRole("button", { name: "Preferences" }).last().click()
  await expect(theirs.getByText(`${name}, viewer`)).toBeVisible()
  await theirs.getByRole("button", { name: "Log out" }).click()
  await expect(theirs.getByRole("heading", { name: "Log in" })).toBeVisible()
  await logIn(CHOSEN)
  await expect(theirs.getByRole("heading", { name: "Devices reporting" })).toBeVisible()

  // An admin disables the account: the page that is open asks to log in.
  const change = { headers: OURS, data: { disabled: true } }
  expect((await page.request.patch(`/api/users/${name}`, change)).status()).toBe(200)
  await theirs.getByRole("link", { name: /^Devices/ }).click()
  await expect(theirs.getByRole("heading", { name: "Log in" })).toBeVisible()
  await own.close()
})
