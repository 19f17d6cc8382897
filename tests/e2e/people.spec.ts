/** What an admin does: make an account, give it a role, take it away; make a key, renew it, revoke it. */
import { expect, test } from "@playwright/test"

test("accounts are made, changed and disabled", async ({ page, request }) => {
  const name = `per-${Date.now()}`
  await page.goto("/")
  await page.getByRole("link", { name: "Administration" }).click()
  await expect(page).toHaveURL(/\/admin\/people$/)
  await page.getByLabel("New account").fill(name)
  await page.getByLabel("Only at these sites").fill("oslo, porto")
  await page.getByRole("button", { name: "Add account" }).click()
  const secret = await page.getByRole("status").locator("code").textContent()
  const login = { name, password: secret, session: "program" }
  expect(
    (await request.post("/api/login", { data: login, headers: { "x-requested-with": "twinfold" } })).status(),
  ).toBe(200)
  await page.getByRole("button", { name: "Done" }).click()
  await expect(page.locator("code")).toHaveCount(0)
  await page.getByLabel(`Sites of ${name}`).fill("porto")
  await page.getByLabel(`Sites of ${name}`).press("Enter")
  await expect(page.getByRole("button", { name: "Set", exact: true })).toHaveCount(0)
  await page.getByLabel(`Role of ${name}`).selectOption("engineer")
  await page.getByRole("button", { name: `Disable ${name}` }).click()
  await expect(page.getByRole("button", { name: `Enable ${name}` })).toBeVisible()
  const { role, disabled, sites } = await (await request.get(`/api/users/${name}`)).json()
  expect([role, disabled, sites]).toEqual(["engineer", true, ["porto"]])
  await page.getByRole("link", { name: "Audit" }).click()
  await expect(page.getByRole("cell", { name: "account.changed" }).first()).toBeVisible()
})

test("a key is made, renewed and revoked, and only sends", async ({ page, request }) => {
  const name = `hall ${Date.now()}`
  await page.goto("/people")
  await page.getByLabel("New key, used at").fill(name)
  await page.getByLabel("Sites, with commas").fill("oslo, porto")
  await page.getByRole("button", { name: "Add key" }).click()
  const secret = () => page.getByRole("status").locator("code").textContent()
  const first = await secret()
  expect(first).toMatch(/^tfk_/)
  await expect(page.getByRole("cell", { name: "site oslo, site porto" }).first()).toBeVisible()
  const send = async (key: string | null, path: string) =>
    (
      await request.post(path, { data: { readings: [] }, headers: { authorization: `Bearer ${key}` } })
    ).status()
  expect(await send(first, "/ingest")).toBe(200)
  expect(await send(first, "/api/users")).toBe(403)
  await page.getByRole("button", { name: `New secret for ${name}` }).click()
  await expect.poll(secret).not.toBe(first)
  const second = await secret()
  expect([await send(first, "/ingest"), await send(second, "/ingest")]).toEqual([200, 200])
  await page.getByRole("button", { name: `Revoke ${name}` }).click()
  await page.getByRole("button", { name: `Revoke ${name}, for sure` }).click()
  await expect(page.getByRole("row", { name }).getByText("revoked")).toBeVisible()
  expect(await send(second, "/ingest")).toBe(401)
})
