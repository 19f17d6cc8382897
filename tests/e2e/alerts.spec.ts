/** What operators do with alerts: every command, one or many, in a flood, and when somebody else is faster. */
import { type APIRequestContext, expect, type Page, test } from "@playwright/test"
import { USER } from "./paths"
import { another } from "./people"

interface Alert {
  readonly id: string
  readonly device_id: string
  readonly rule: string
  readonly title: string
  readonly state: string
}

async function alerts(request: APIRequestContext, query: string): Promise<{ items: Alert[]; total: number }> {
  return (await request.get(`/api/alerts?${query}`)).json()
}

/** A page that shows the alerts of one device, with the row of one of them. */
async function rowOf(page: Page, { device_id, title }: Alert, tab = "active") {
  await page.goto(`/alerts?tab=${tab}&group=none&device=${encodeURIComponent(device_id)}`)
  return page.getByRole("row").filter({ hasText: title }).first()
}

test("two operators at one alert: one is done, the other is told who was first, and when", async ({
  page,
  browser,
  request,
}) => {
  const [alert] = (await alerts(request, "state=UNACK&limit=1")).items
  const slow = await another(browser, request, `ola-${Date.now()}`)
  // The slow one's screen hears of nothing, as on a bad line.
  await slow.routeWebSocket("**/api/live", () => {})
  const late = await rowOf(slow, alert, "unacknowledged")
  await late.getByRole("cell").nth(2).click()
  const fast = await rowOf(page, alert, "unacknowledged")
  await fast.getByRole("cell").nth(2).click()
  await page.keyboard.press("a")
  await expect(page.getByText("1 alert acknowledged")).toBeVisible()
  await slow.keyboard.press("a")
  await expect(
    slow.getByText(new RegExp(`1 alert was refused: ${USER.name} was first.*at \\d\\d:\\d\\d:\\d\\d`)),
  ).toBeVisible()
  await slow.context().close()
})

test("where the platform wants a note of a priority, it is asked for before anything is sent", async ({
  page,
  request,
}) => {
  const { total, items } = await alerts(request, "state=UNACK&limit=1&offset=1")
  test.skip(total < 2, "nothing to acknowledge") // the simulated fleet may be calm: its faults come by chance
  const all = ["critical", "high", "medium", "low"]
  await page.route("**/api/alerts/notes", (route) =>
    route.fulfill({ json: { acknowledge: all, reset: all, shelve: all, suppress: all } }),
  )
  const known = page.waitForResponse("**/api/alerts/notes")
  const row = await rowOf(page, items[0], "unacknowledged")
  await known
  await row.getByRole("cell").nth(2).click()
  await page.keyboard.press("a")
  const dialog = page.getByRole("dialog")
  const send = dialog.getByRole("button", { name: "Acknowledge 1 alert" })
  await expect(send).toBeDisabled()
  await dialog.getByRole("textbox").fill("the valve is known to stick")
  const [sent] = await Promise.all([page.waitForRequest(/\/acknowledge$/), send.click()])
  expect(sent.postDataJSON()).toEqual({ note: "the valve is known to stick" })
  await expect(page.getByText("1 alert acknowledged")).toBeVisible()
})

const ASIDE = [
  ["Shelve…", "Shelve 1 alert", "1 alert shelved", "shelved", "Unshelve", "1 alert back from the shelf"],
  [
    "Suppress…",
    "Suppress 1 alert",
    "1 alert suppressed",
    "suppressed",
    "End suppression",
    "1 suppression ended",
  ],
  [
    "Out of service…",
    "Take 1 alert out",
    "1 alert out of service",
    "out_of_service",
    "Return to service",
    "1 alert back in service",
  ],
] as const

for (const [i, [put, doIt, done, tab, back, returned]] of ASIDE.entries()) {
  test(`${done}: with its reason in the story, and brought back`, async ({ page, request }) => {
    const { items } = await alerts(request, "limit=3&state=UNACK,ACKED")
    const alert = items[i % items.length]
    const row = await rowOf(page, alert)
    await row.getByRole("checkbox").check()
    await page.getByRole("button", { name: put }).click()
    const dialog = page.getByRole("dialog")
    await dialog.getByLabel("Reason").fill("sensor swap")
    await dialog.getByRole("button", { name: doIt }).click()
    await expect(page.getByText(done)).toBeVisible()
    const aside = await rowOf(page, alert, tab)
    await aside.getByRole("cell").nth(2).click()
    await expect(page.getByRole("region", { name: "What was done" })).toContainText("sensor swap")
    await page.getByRole("button", { name: back, exact: true }).first().click()
    await expect(page.getByText(returned)).toBeVisible()
  })
}

test("is assigned and commented, from the row opened", async ({ page, request }) => {
  const [alert] = (await alerts(request, "limit=1&state=UNACK,ACKED")).items
  const row = await rowOf(page, alert)
  await row.getByRole("cell").nth(2).click()
  await page.getByRole("button", { name: "Assign…" }).click()
  await page.getByRole("dialog").getByLabel("To whom").fill("day shift")
  await page.getByRole("dialog").getByRole("button", { name: "Assign" }).click()
  await expect(page.getByText("1 alert assigned")).toBeVisible()
  await page.getByRole("button", { name: "Comment…" }).click()
  await page.getByRole("dialog").getByLabel("Comment").fill("heard it from the door")
  await page.getByRole("dialog").getByRole("button", { name: "Add the comment" }).click()
  await expect(page.getByText("heard it from the door")).toBeVisible()
  await expect(row).toContainText("day shift")
})

test("groups count their alerts and open into them", async ({ page, request }) => {
  const { items } = await (await request.get("/api/alerts/groups?by=rule&state=UNACK,ACKED")).json()
  await page.goto("/alerts?tab=active")
  await page.getByLabel("Group by").selectOption("rule")
  await expect(page).toHaveURL(/group=rule/)
  const row = page.getByRole("row").filter({ hasText: items[0].first.title }).first()
  await expect(row).toContainText(items[0].first.device_id)
  await row.getByRole("cell").nth(1).click()
  await expect(page).toHaveURL(new RegExp(`rule=${items[0].rule}`))
  await expect(page.getByRole("button", { name: `No longer only ${items[0].rule}` })).toBeVisible()
  await expect(page.getByRole("row").nth(1)).toContainText(items[0].first.title)
})

test("a flood folds into first-outs, says so, and can be unfolded", async ({ page }) => {
  await page.route("**/api/alerts/kpis?*", async (route) => {
    const answer = await route.fetch()
    const kpis = await answer.json()
    const since = new Date(Date.now() - 300_000).toISOString()
    await route.fulfill({ json: { ...kpis, flooded_since: since, most_in_10_min: 43 } })
  })
  await page.goto("/alerts?tab=active")
  await expect(page.getByText(/Alert flood since \d\d:\d\d/)).toBeVisible()
  await expect(page.getByText(/Up to 43 alerts in 10 min/)).toBeVisible()
  await expect(page.getByRole("table", { name: "Groups of alerts" })).toBeVisible()
  await page.getByRole("button", { name: "Show every alert" }).click()
  await expect(page).toHaveURL(/group=none/)
  await expect(page.getByRole("table", { name: "Alerts", exact: true })).toBeVisible()
})

test("all that match are counted first, and the count is typed", async ({ page }) => {
  await page.goto("/alerts?group=none")
  await page.getByRole("button", { name: /^Acknowledge all/ }).click()
  const dialog = page.getByRole("dialog")
  const title = await dialog.getByRole("heading").textContent()
  const n = title?.match(/\d+/)?.[0] ?? ""
  const send = dialog.getByRole("button", { name: /^Acknowledge \d+ alerts$/ })
  await dialog.getByLabel("Reason").fill("storm")
  await expect(send).toBeDisabled()
  await dialog.getByLabel(/^Type/).fill(n)
  await send.click()
  await expect(page.getByText(/\d+ alerts acknowledged/)).toBeVisible()
})

test("the journal tells who did what and why, and is narrowed", async ({ page, request }) => {
  const { items } = await alerts(request, "limit=1&state=UNACK,ACKED")
  const note = `seen ${Date.now()}`
  await request.post(`/api/alerts/${encodeURIComponent(items[0].id)}/comment`, {
    data: { note },
    headers: { "x-requested-with": "twinfold" },
  })
  await page.goto("/alerts")
  await page.getByRole("link", { name: "Journal" }).click()
  const row = page.getByRole("row").nth(1)
  await expect(row).toContainText(note)
  await expect(row).toContainText(USER.name)
  await page.getByLabel("What happened").selectOption("alert.raised")
  await expect(page).toHaveURL(/kind=alert\.raised/)
  await expect(page.getByText(note)).toHaveCount(0)
  await page.getByLabel("Device", { exact: true }).fill(items[0].device_id)
  await page.keyboard.press("Enter")
  await expect(page.getByRole("row").nth(1)).toContainText(items[0].device_id)
  await page.getByRole("button", { name: "7 d" }).click()
  await expect(page).toHaveURL(/range=7d/)
})

test("KPIs have their period, a position, and lead to the rule that is to be mended", async ({ page }) => {
  await page.goto("/alerts/kpis")
  await expect(page.getByRole("heading", { name: "Alerts per hour" })).toBeVisible()
  await page.getByRole("button", { name: "7 d" }).click()
  await expect(page).toHaveURL(/hours=168/)
  await expect(page.getByText(/mean of the last 7 days/)).toBeVisible()
  await page.getByLabel(/Operator position/).fill("site = 'nowhere'")
  await page.keyboard.press("Enter")
  await expect(page.getByText("Nothing raised an alert.")).toBeVisible()
  await page.getByLabel(/Operator position/).fill("")
  await page.keyboard.press("Enter")
  const actor = page.getByRole("region", { name: "Bad actors" }).getByRole("listitem").first()
  await actor.getByRole("link").nth(1).click()
  await expect(page).toHaveURL(/\/alerts\/rules\/.*rule=/)
  await expect(page.getByRole("heading", { name: "Rules in force" })).toBeVisible()
})
