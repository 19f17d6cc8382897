/** What is recommended, and what people decide about it: accept, dismiss with a reason, done with what was found. */
import { type APIRequestContext, expect, test } from "@playwright/test"
import { expectAccessible } from "./checks"

const HEADERS = { "x-requested-with": "twinfold" }
const STEP_MS = 5_000
const STEPS = 24

/** A new pump that nothing else moves, whose bearing shakes. */
async function shaking(request: APIRequestContext): Promise<string> {
  const id = `shaking-${Date.now().toString(36)}`
  const made = await request.post("/api/devices", {
    headers: HEADERS,
    data: { devices: [{ id, type: "centrifugal-pump", site: "oslo" }] },
  })
  expect(made.ok()).toBe(true)
  const end = Date.now()
  const readings = Array.from({ length: STEPS }, (_, i) => ({
    device: id,
    time: end - (STEPS - i) * STEP_MS,
    values: { vibration: 9.3, speed: 2550 },
  }))
  const taken = await request.post("/api/readings", { headers: HEADERS, data: { readings } })
  expect(taken.ok()).toBe(true)
  await expect
    .poll(async () => (await (await request.get(`/api/recommendations?device=${id}`)).json()).items.length)
    .toBeGreaterThan(0)
  return id
}

/** How many recommendations of a device are in some state, as lists see it. */
async function countOf(request: APIRequestContext, id: string, decision: string): Promise<number> {
  const query = `device=${id}&decision=${decision}`
  return (await (await request.get(`/api/recommendations?${query}`)).json()).total
}

async function maintenanceOf(request: APIRequestContext, id: string) {
  return (await (await request.get(`/api/maintenance?device=${id}`)).json()).items
}

test("accepted in the table, and done on the device's page with what was found", async ({
  page,
  request,
}) => {
  const id = await shaking(request)
  await page.goto(`/recommendations?device=${id}`)
  const row = page.getByRole("row").nth(1)
  await expect(row).toContainText("Rolling bearing wear")
  await row.getByRole("cell").nth(2).click()
  await expect(page).toHaveURL(/shown=shaking/)
  const why = page.getByRole("region", { name: "Why" })
  await expect(why).toContainText("Vibration in zone")
  await expect(page.getByRole("region", { name: "Past cases" })).not.toContainText("…")
  await expectAccessible(page)
  await page.getByRole("button", { name: "Accept…" }).click()
  const dialog = page.getByRole("dialog")
  await dialog.getByLabel("Note").fill("on Tuesday")
  await dialog.getByRole("button", { name: "Accept it" }).click()
  await expect(page.getByText(`Accepted: ${id}`)).toBeVisible()
  await expect(row).toContainText("accepted by kari")

  await page.goto(`/devices/${id}`)
  const card = page.getByRole("region", { name: "Advice" })
  await expect(card).toContainText("accepted by kari")
  await card.getByRole("button", { name: "Done…" }).first().click()
  await dialog.getByLabel("What was found").selectOption("fault_confirmed")
  await dialog.getByLabel("What was done").selectOption({ label: "Replace both bearings" })
  await dialog.getByLabel("Note").fill("outer race pitted")
  await dialog.getByRole("button", { name: "Record it" }).click()
  await expect(page.getByText(`Recorded as done, with the maintenance of ${id}`)).toBeVisible()
  await expect(card).toContainText("done: fault confirmed")
  const [record] = await maintenanceOf(request, id)
  expect(record).toMatchObject({
    kind: "replacement",
    action: "replace-bearings",
    failure_mode: "bearing-wear",
    note: "outer race pitted",
  })
  await expect.poll(() => countOf(request, id, "done")).toBe(1) // the live table follows
  await page.goto(`/recommendations?device=${id}&decision=done`)
  await expect(row).toContainText("done: fault confirmed")
})

test("dismissed only with a reason, and found among the dismissed", async ({ page, request }) => {
  const id = await shaking(request)
  await page.goto(`/recommendations?device=${id}&shown=${id}%3Abearing-wear`)
  await page.getByRole("button", { name: "Dismiss…" }).click()
  const dialog = page.getByRole("dialog")
  await expect(dialog.getByRole("button", { name: "Dismiss it" })).toBeDisabled()
  await dialog.getByLabel("Reason").fill("the sensor is loose")
  await dialog.getByRole("button", { name: "Dismiss it" }).click()
  await expect(page.getByText(`Dismissed: ${id}`)).toBeVisible()
  await expect(page.getByText("Rolling bearing wear")).toHaveCount(0)
  await page.getByRole("button", { name: "dismissed" }).click()
  await expect(page).toHaveURL(/decision=dismissed/)
  await expect(page.getByRole("row").nth(1)).toContainText(id)
  await expect(page.getByText("kari: the sensor is loose")).toBeVisible()
})

test("what a failure would cost stands beside later and now, and leads from the overview", async ({
  page,
  request,
}) => {
  const id = await shaking(request)
  await page.route("**/api/recommendations?*", async (route) => {
    const response = await route.fetch()
    const answer = await response.json()
    for (const item of answer.items) {
      item.costs = {
        nothing: 25_969.5,
        later: 8_205.4,
        now: 7_300,
        later_at: new Date(Date.now() + 86_400_000).toISOString(),
        horizon_days: 30,
      }
      item.stake = 18_669.5
      item.due = new Date(Date.now() + 3 * 86_400_000 + 60_000).toISOString()
    }
    await route.fulfill({ response, json: answer })
  })
  await page.goto("/")
  const card = page.getByRole("region", { name: "Worth doing now" })
  await card.getByRole("link").nth(1).click()
  await expect(page).toHaveURL(/\/recommendations\?.*shown=/)
  await page.goto(`/recommendations?device=${id}&shown=${id}%3Abearing-wear`)
  const row = page.getByRole("row").nth(1)
  for (const text of ["25,970", "8,205", "7,300", "in 3"]) await expect(row).toContainText(text)
  await expectAccessible(page)
})
