/** What an engineer does with alert rules: edits, is told what is wrong, stages, puts in force, goes back. */
import { expect, test } from "@playwright/test"
import { USER } from "./paths"

const TYPE = "centrifugal-pump"
/** Hosts compile rules before they take them. */
const INSTALLED = { timeout: 150_000 }

test("who is later with a change is told by whom and when, and keeps their text", async ({
  page,
  request,
}) => {
  await page.goto(`/alerts/rules/${TYPE}`)
  await page.getByRole("button", { name: "Edit the rules" }).click()
  const text = page.getByLabel("The rules as text")
  const before = await text.inputValue()
  const place = `/api/types/${TYPE}/rules/staged`
  const headers = { "x-requested-with": "twinfold", "content-type": "application/yaml", "if-match": "*" }
  const other = before.replace("vibration > 6.6", "vibration > 6.7")
  await request.put(`${place}?why=faster`, { data: other, headers })
  const mine = before.replace("vibration > 6.6", "vibration > 6.5")
  await text.fill(mine)
  await page.getByRole("button", { name: "Stage it" }).click()
  await expect(
    page.getByText(new RegExp(`${USER.name} changed these rules at \\d\\d:\\d\\d:\\d\\d: faster`)),
  ).toBeVisible()
  expect(await text.inputValue()).toBe(mine)
  await page.getByRole("button", { name: "Go on with mine" }).click()
  await page.getByRole("button", { name: "Stage it" }).click()
  await expect(page.getByText(/^Rules \d+ are staged$/)).toBeVisible()
  await page.getByRole("button", { name: "Do not activate" }).click()
  await expect(page.getByRole("heading", { name: /^Staged/ })).toHaveCount(0)
})

test("rules are exported as a file", async ({ page }) => {
  await page.goto(`/alerts/rules/${TYPE}`)
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "Export" }).click(),
  ])
  expect(file.suggestedFilename()).toBe(`${TYPE}-rules.yaml`)
})

test("what other rules would have done is told from some devices, and from all as a job with an address", async ({
  page,
}) => {
  await page.goto(`/alerts/rules/${TYPE}`)
  await page.getByRole("button", { name: "Edit the rules" }).click()
  const text = page.getByLabel("The rules as text")
  const before = await text.inputValue()
  const preview = page.getByRole("region", { name: "Preview" })
  const run = preview.getByRole("button", { name: "Preview" })
  await expect(preview.getByText("once the text is right and changes something")).toBeVisible()
  await expect(run).toBeDisabled()
  await text.fill(before.replace("vibration > 4.0", "vibration > 0.5"))
  await preview.getByRole("button", { name: "last day" }).click()
  await run.click()
  await expect(preview.getByText(/alerts a day, of (all|the) \d+ devices?/)).toBeVisible({ timeout: 60_000 })
  await expect(preview.getByText("nothing earlier is kept")).toBeVisible()
  await expect(preview.getByRole("region", { name: "By rule" })).toContainText("vibration")
  await text.fill(before.replace("vibration > 4.0", "vibration > 0.6"))
  await expect(preview.getByText("The text has changed since")).toBeVisible()

  const all = preview.getByRole("button", { name: "All devices, as a job" })
  await expect(all).toBeEnabled()
  await all.click()
  await expect(page).toHaveURL(/rehearsal=/)
  const job = page.getByRole("region", { name: "Other rules, all devices" })
  await expect(job.getByText(/From (all \d+ devices|the one device)/)).toBeVisible({ timeout: 60_000 })
  await page.reload()
  await expect(job.getByText(/alerts a day, of (all|the)/)).toBeVisible()
  await job.getByRole("button", { name: "Close" }).click()
  await expect(page).not.toHaveURL(/rehearsal=/)
})

test("a rehearsal that cannot be found says so", async ({ page }) => {
  await page.goto(`/alerts/rules/${TYPE}?rehearsal=none`)
  const job = page.getByRole("region", { name: "Other rules, all devices" })
  await expect(job.getByRole("alert")).toBeVisible()
  await expect(job.getByRole("button", { name: "Try again" })).toBeVisible()
})

test("rules are edited, checked as one types, staged, put in force and taken back", async ({ page }) => {
  test.setTimeout(360_000)
  await page.goto(`/alerts/rules/${TYPE}`)
  await page.getByRole("button", { name: "Edit the rules" }).click()
  const text = page.getByLabel("The rules as text")
  const before = await text.inputValue()
  const stage = page.getByRole("button", { name: "Stage it" })
  await text.fill(before.replace("vibration > 4.0", "vibrations > 4.0"))
  await expect(page.getByText(/^Line \d+:/)).toBeVisible()
  await expect(stage).toBeDisabled()
  const limit = (4 + Math.random()).toFixed(3)
  await text.fill(before.replace("vibration > 4.0", `vibration > ${limit}`))
  await expect(page.getByText("It can be put in force. 1 thing changes:")).toBeVisible()
  await page.getByLabel("Why, for those who look later").fill("spring balance")
  await stage.click()
  await expect(page.getByRole("heading", { name: /^Staged: rules \d+$/ })).toBeVisible()
  await page.getByRole("button", { name: "Activate…" }).click()
  const dialog = page.getByRole("dialog")
  await expect(dialog.getByText(`vibration > ${limit}`)).toBeVisible()
  await dialog.getByRole("button", { name: /^Put rules \d+ in force$/ }).click()
  await expect(page.getByText(/^Rules \d+ are in force$/)).toBeVisible(INSTALLED)
  await expect(page.getByText(`vibration > ${limit}`).first()).toBeVisible()
  await page.getByRole("button", { name: "Put in force…" }).first().click()
  await dialog.getByRole("button", { name: /^Put rules \d+ in force$/ }).click()
  await expect(page.getByRole("dialog")).toHaveCount(0, INSTALLED)
  await expect(page.getByText("vibration > 4.0").first()).toBeVisible()
})
