/** What engineers and admins look after: who did what, device types and their rules, jobs, and the platform itself. */
import { type Browser, expect, type Page, test } from "@playwright/test"

const OURS = { "x-requested-with": "twinfold" }
const CHOSEN = "seven brass kettles on a shelf"

/** A page of somebody new with a role. */
async function as(role: string, browser: Browser, page: Page): Promise<Page> {
  const name = `${role}-${Date.now()}`
  const made = await page.request.post("/api/users", { headers: OURS, data: { name, role } })
  const { password } = await made.json()
  const context = await browser.newContext({ storageState: { cookies: [], origins: [] } })
  const log = { name, password, session: "browser" }
  expect((await context.request.post("/api/login", { headers: OURS, data: log })).status()).toBe(200)
  const chosen = { old: password, new: CHOSEN }
  expect((await context.request.post("/api/me/password", { headers: OURS, data: chosen })).status()).toBe(204)
  return context.newPage()
}

test("the audit is narrowed, and the address keeps how", async ({ page }) => {
  await page.goto("/admin/audit")
  await page.getByLabel("What, or how it begins").fill("account.")
  await page.getByLabel("By whom").fill("devfleet")
  await page.getByRole("button", { name: "Narrow" }).click()
  await expect(page).toHaveURL(/by=devfleet/)
  await expect(page.getByRole("cell", { name: "account.made" }).first()).toBeVisible()
  await expect(page.getByRole("cell", { name: "session.begun" })).toHaveCount(0)
  await page.reload()
  await expect(page.getByLabel("By whom")).toHaveValue("devfleet")
  await page.getByRole("button", { name: "Show all" }).click()
  await expect(page.getByRole("cell", { name: "session.begun" }).first()).toBeVisible()
})

test("older lines of the audit follow page by page", async ({ page }) => {
  const line = (number: number) => ({
    number,
    at: new Date().toISOString(),
    by: "kari",
    address: "",
    what: "key.made",
    subject: `k${number}`,
    detail: {},
    hash: "",
  })
  await page.route("**/api/audit?*", (route) => {
    const after = Number(new URL(route.request().url()).searchParams.get("after") ?? 3)
    route.fulfill({ json: { items: [line(after - 1)], next: after > 2 ? `${after - 1}` : null } })
  })
  await page.goto("/admin/audit")
  await expect(page.getByRole("cell", { name: "k2" })).toBeVisible()
  await page.getByRole("button", { name: "Older ones" }).click()
  await expect(page.getByRole("cell", { name: "k1" })).toBeVisible()
  await expect(page.getByRole("button", { name: "Older ones" })).toHaveCount(0)
})

test("rules are exported, checked, staged, seen through, and put in force; and taken back", async ({
  page,
  request,
}) => {
  const name = "humidity-sensor"
  await page.goto("/admin/types")
  await page.getByRole("row", { name }).getByRole("link").click()
  await expect(page).toHaveURL(new RegExp(`/admin/types/${name}$`))
  const text = await (await request.get(`/api/types/${name}/rules/export`)).text()
  const begun = (await (await request.get(`/api/types/${name}/versions`)).json()).in_force.rules as number
  const other = text.replace(/priority: (low|medium|high)/, (_, was) =>
    was === "low" ? "priority: medium" : "priority: low",
  )
  expect(other).not.toBe(text)

  await page.getByRole("button", { name: "Stage a change…" }).click()
  const dialog = page.getByRole("dialog")
  await dialog.getByLabel("Or its text").fill(other.replace("when:", "wehn:"))
  await dialog.getByRole("button", { name: "Check it" }).click()
  await expect(dialog.getByText(/^Line \d+:/).first()).toBeVisible()
  await dialog.getByLabel("Or its text").fill(other)
  await dialog.getByLabel("Why").fill("too loud")
  await dialog.getByRole("button", { name: "Check it" }).click()
  await expect(dialog.getByRole("cell", { name: /\.priority$/ })).toBeVisible()
  await dialog.getByRole("button", { name: "Stage it" }).click()

  await page.getByRole("link", { name: "what changes" }).click()
  await expect(page).toHaveURL(/part=rules/)
  await expect(page.getByRole("cell", { name: /\.priority$/ })).toBeVisible()
  await page.getByRole("button", { name: "Put what is staged in force…" }).click()
  await dialog.getByRole("button", { name: "Put in force" }).click()
  await expect(page.getByText(`${name} is in force on every host`)).toBeVisible()
  const inForce = async () =>
    (await (await request.get(`/api/types/${name}/versions`)).json()).in_force.rules as number
  expect(await inForce()).not.toBe(begun)

  await page.getByRole("button", { name: `Put rules ${begun} in force` }).click()
  await dialog.getByRole("button", { name: "Put in force" }).click()
  await expect.poll(inForce).toBe(begun)
})

test("a job shows how far it is, and is cancelled", async ({ page }) => {
  let cancelled = false
  const job = () => ({
    id: "j1",
    kind: "import",
    by: "kari",
    state: cancelled ? "cancelled" : "running",
    progress: 0.42,
    message: "file 3 of 7",
    code: "",
    created: new Date().toISOString(),
    started: new Date().toISOString(),
    ended: null,
    attempts: 1,
    cancelling: false,
    version: 1,
    request: {},
    result: null,
  })
  await page.route("**/api/jobs?*", (route) => route.fulfill({ json: { items: [job()] } }))
  await page.route("**/api/jobs/j1/cancel", (route) => {
    cancelled = true
    route.fulfill({ json: job() })
  })
  await page.goto("/admin/jobs")
  await expect(page.getByRole("cell", { name: /42/ })).toBeVisible()
  await page.getByRole("button", { name: "Cancel Import" }).click()
  await page.getByRole("button", { name: "Cancel Import, for sure" }).click()
  await expect(page.getByRole("cell", { name: "cancelled" })).toBeVisible()
})

test("the system says how each host is, also where the platform is not whole", async ({ page }) => {
  await page.goto("/admin/system")
  await expect(page.getByText("Ready: every host takes readings")).toBeVisible()
  await page.route("**/api/ready", async (route) => {
    const answer = await route.fetch()
    const body = await answer.json()
    const [host] = body.hosts
    const away = { ...host, state: "away", reason: "it does not answer", cursor: 90_000, archived: 20 }
    await route.fulfill({ status: 503, json: { ...body, ready: false, hosts: [away] } })
  })
  await expect(page.getByText("Not ready: a host does not take readings")).toBeVisible()
  await expect(page.getByRole("cell", { name: /does not answer it does not answer/ })).toBeVisible()
  await expect(page.getByRole("cell", { name: "89,980" })).toBeVisible()
})

test("an engineer sees no accounts and no audit; an operator nothing of it", async ({ browser, page }) => {
  const engineer = await as("engineer", browser, page)
  await engineer.goto("/admin")
  await expect(engineer.getByRole("heading", { name: "Keys" })).toBeVisible()
  await expect(engineer.getByRole("heading", { name: "Accounts" })).toHaveCount(0)
  await expect(engineer.getByRole("link", { name: "Audit" })).toHaveCount(0)
  await engineer.goto("/admin/audit")
  await expect(engineer.getByText("This part is for admins")).toBeVisible()
  await engineer.context().close()

  const operator = await as("operator", browser, page)
  await operator.goto("/admin/types")
  await expect(operator.getByText("This page is for engineers and admins")).toBeVisible()
  await expect(operator.getByRole("link", { name: "Administration" })).toHaveCount(0)
  await operator.context().close()
})
