/** The way in and out: a wrong password, a first password, logging out, and a session that ends elsewhere. */
import { createHmac } from "node:crypto"
import { type BrowserContext, expect, type Page, test } from "@playwright/test"

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

  await theirs.getByRole("link", { name: "Settings" }).click()
  await expect(theirs.getByText("viewer: sees everything, changes nothing")).toBeVisible()
  await theirs.getByRole("button", { name: "Log out" }).click()
  await expect(theirs.getByRole("heading", { name: "Log in" })).toBeVisible()
  await logIn(CHOSEN)
  await expect(theirs.getByRole("heading", { name: "Settings" })).toBeVisible() // where they were

  // An admin disables the account: the page that is open asks to log in.
  const change = { headers: { ...OURS, "if-match": "*" }, data: { disabled: true } }
  expect((await page.request.patch(`/api/users/${name}`, change)).status()).toBe(200)
  await theirs.getByRole("link", { name: /^Devices/ }).click()
  await expect(theirs.getByRole("heading", { name: "Log in" })).toBeVisible()
  await own.close()
})

test("a second factor is set up, asked for, and ended", async ({ browser, page }) => {
  const name = `eva-${Date.now()}`
  const { password } = await (
    await page.request.post("/api/users", { headers: OURS, data: { name, role: "operator" } })
  ).json()
  const own = await browser.newContext({ storageState: { cookies: [], origins: [] } })
  const log = { name, password, session: "browser" }
  expect((await own.request.post("/api/login", { headers: OURS, data: log })).status()).toBe(200)
  const chosen = { old: password, new: CHOSEN }
  expect((await own.request.post("/api/me/password", { headers: OURS, data: chosen })).status()).toBe(204)
  const theirs = await own.newPage()
  await theirs.goto("/")
  const open = async () => {
    await theirs.getByRole("link", { name: "Settings" }).click()
    await theirs.getByRole("button", { name: "Second factor…" }).click()
  }
  await open()
  await theirs.getByRole("button", { name: "Set it up" }).click()
  const secret = ((await theirs.getByRole("dialog").locator("code").textContent()) ?? "").replaceAll(" ", "")
  await theirs.getByLabel("The six digits").fill("12")
  await theirs.getByRole("button", { name: "Ask for it from now on" }).click()
  await expect(theirs.getByRole("dialog").getByRole("alert")).toContainText("not right")
  await theirs.getByLabel("The six digits").fill(code(secret, 0))
  await theirs.getByRole("button", { name: "Ask for it from now on" }).click()
  await expect(theirs.getByText("A code is asked for at each log-in from now on")).toBeVisible()

  await theirs.getByRole("link", { name: "Settings" }).click()
  await theirs.getByRole("button", { name: "Log out" }).click()
  const logIn = async (digits: string) => {
    await theirs.getByLabel("Name", { exact: true }).fill(name)
    await theirs.getByLabel("Password", { exact: true }).fill(CHOSEN)
    await theirs.getByLabel("Code from your authenticator").fill(digits)
    await theirs.getByRole("button", { name: "Log in" }).click()
  }
  await logIn("")
  await expect(theirs.getByRole("alert")).toContainText("not right")
  await logIn(code(secret, 1)) // the one before was spent; clocks may be one step apart
  await expect(theirs.getByRole("heading", { name: "Settings" })).toBeVisible()
  await open()
  await theirs.getByLabel("Current password").fill(CHOSEN)
  await theirs.getByRole("button", { name: "Ask for it no longer" }).click()
  await expect(theirs.getByText("No code is asked for any more")).toBeVisible()
  await own.close()
})

/** The six digits of a secret now, or some steps of half a minute away (RFC 6238). */
function code(secret: string, away: number): string {
  const bits = [...secret].map((each) =>
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(each).toString(2).padStart(5, "0"),
  )
  const key = Buffer.from((bits.join("").match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
  const step = Buffer.alloc(8)
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + away))
  const mac = createHmac("sha1", key).update(step).digest()
  const at = mac[19] & 15
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0")
}

test("a session that ends leaves the page and what was typed; another person finds nothing of it", async ({
  browser,
  page,
}) => {
  const [ola, eva] = [`ola-${Date.now()}`, `eva-${Date.now()}`]
  const own = await browser.newContext({ storageState: { cookies: [], origins: [] } })
  const theirs = await own.newPage()
  for (const name of [ola, eva]) await account(page, own, name)
  const logIn = async (name: string) => {
    await theirs.getByLabel("Name", { exact: true }).fill(name)
    await theirs.getByLabel("Password", { exact: true }).fill(CHOSEN)
    await theirs.getByRole("button", { name: "Log in" }).click()
  }
  await theirs.goto("/devices?sort=id")
  await logIn(ola)
  await theirs.getByRole("table").getByRole("link").first().click()
  await theirs.getByRole("button", { name: "Log maintenance" }).first().click()
  await theirs.getByRole("dialog").getByLabel("Note").fill("half a thought")

  const ended = async () => {
    for (const { id } of (await (await own.request.get("/api/me/sessions")).json()).items)
      await own.request.delete(`/api/me/sessions/${id}`, { headers: OURS })
    await expect(theirs.getByRole("heading", { name: "Log in" })).toBeVisible({ timeout: 30_000 })
  }
  await ended()
  await logIn(ola)
  await expect(theirs.getByRole("heading", { name: "Log in" })).toHaveCount(0)
  await expect(theirs.getByRole("dialog").getByLabel("Note")).toHaveValue("half a thought")

  await ended()
  await logIn(eva)
  await expect(theirs.getByRole("heading", { name: "Log in" })).toHaveCount(0)
  await expect(theirs.getByRole("dialog")).toHaveCount(0)
  await theirs.getByRole("link", { name: "Settings" }).click()
  await expect(theirs.getByText(eva).first()).toBeVisible() // in the corner, and on the page once it has come
  await own.close()
})

/** An operator's account whose password has been chosen. */
async function account(page: Page, own: BrowserContext, name: string): Promise<void> {
  const made = await page.request.post("/api/users", { headers: OURS, data: { name, role: "operator" } })
  const { password } = await made.json()
  const data = { name, password, session: "browser" }
  expect((await own.request.post("/api/login", { headers: OURS, data })).status()).toBe(200)
  const change = { headers: OURS, data: { old: password, new: CHOSEN } }
  expect((await own.request.post("/api/me/password", change)).ok()).toBe(true)
  await own.request.post("/api/logout", { headers: OURS })
}
