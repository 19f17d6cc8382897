/** Versions of models: which is in force, whether a challenger is better, and putting one in force and taking it back. */
import { expect, test } from "@playwright/test"

/** A report on all devices runs their history twice. */
const SLOW = { timeout: 60_000 }

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

test("what forecasts were worth is told by version, and whether the one in force still fits", async ({
  page,
}) => {
  const times = { first: "2026-01-01T00:00:00.000Z", last: "2026-01-31T00:00:00.000Z" }
  const figures = {
    ...times,
    devices: 240,
    device_years: 61.2,
    unsaid: 0.01,
    covered_of: 320,
    reliability: [],
  }
  const versions = [
    {
      ...figures,
      version: 1,
      shadow: false,
      moments: 5400,
      brier: 0.0312,
      brier_constant: 0.0475,
      coverage_90: 0.88,
      failures: 41,
      missed: 4,
      lead: { p25_h: 52, p50_h: 97, p75_h: 140 },
      leads: [
        { before_h: 0, share: 37 / 41 },
        { before_h: 12, share: 37 / 41 },
        { before_h: 52, share: 28 / 41 },
        { before_h: 97, share: 19 / 41 },
        { before_h: 140, share: 10 / 41 },
        { before_h: 260, share: 1 / 41 },
      ],
      warnings: 63,
      false_warnings: 9,
      false_per_device_year: 0.15,
      reliability: [{ predicted: 0.05, observed: 0.04, count: 4200 }],
    },
    {
      ...figures,
      version: 2,
      shadow: true,
      moments: 610,
      brier: null,
      brier_constant: null,
      coverage_90: null,
      failures: 0,
      missed: 0,
      lead: null,
      leads: [],
      warnings: 0,
      false_warnings: 0,
      false_per_device_year: null,
    },
  ]
  const window = { start: times.first, end: times.last, devices: 240, of_devices: 300 }
  await page.route("**/api/models/*/record?*", (route) =>
    route.fulfill({ json: { type: "centrifugal-pump", ...window, versions } }),
  )
  await page.route("**/api/models/*/drift", (route) =>
    route.fulfill({
      json: {
        type: "centrifugal-pump",
        version: 1,
        since: times.first,
        at: times.last,
        devices: 300,
        unlike: 3,
        index: 0.6,
        limit: 0.25,
        reasons: ["shift"],
        bins: [],
      },
    }),
  )
  await page.goto("/models/centrifugal-pump/1")
  const record = page.getByRole("region", { name: "What forecasts were worth" }).first()
  await expect(record.getByText("From 240 of 300 devices")).toBeVisible()
  await expect(record.getByRole("row", { name: /Version 1 .* 97.h 4 of 41 0\.15/ })).toBeVisible()
  await expect(record.getByRole("row", { name: /Version 2, as a shadow/ })).toBeVisible()
  await expect(page.getByRole("img", { name: /^How reliable version 1 was: 1 points/ })).toBeVisible()
  await expect(page.getByRole("img", { name: /^How long before version 1 warned: 37 of 41/ })).toBeVisible()
  await expect(page.getByText("4 of 41 failures without a warning")).toBeVisible()
  await expect(page.getByText("What it says lies elsewhere than when it came in force.")).toBeVisible()
})

test("what putting a version in force would change is told, also where no rule asks for a forecast", async ({
  page,
}) => {
  await page.goto("/models/centrifugal-pump/2")
  const panel = page.getByRole("region", { name: "What putting it in force would change" })
  await panel.getByRole("button", { name: "All devices, as a job" }).click()
  await expect(page).toHaveURL(/report=promotion-/)
  const whole = page.getByRole("region", { name: "What it would change, all devices" })
  await expect(whole.getByText("One rule asks for a forecast: failure-likely.")).toBeVisible(SLOW)
  await page.getByRole("button", { name: "Close" }).click()
  await expect(page).not.toHaveURL(/report=/)

  const silent = { type: "centrifugal-pump", candidate: 2, in_force: 1, rules: [], comparison: null }
  await page.route("**/api/models/*/2/report?*", (route) => route.fulfill({ json: silent }))
  await panel.getByRole("button", { name: "Preview" }).click()
  await expect(panel.getByText("No alert rule of this type asks for a forecast")).toBeVisible()
  await page.unroute("**/api/models/*/2/report?*")

  const counts = {
    before: 4,
    after: 9,
    same: 3,
    moved: 1,
    appeared: 5,
    vanished: 0,
    stood: 0,
    shift_s: -7200,
  }
  const rate = { before: 8, after: 18, difference: 10, low: 2.5, high: 16 }
  const comparison = {
    type: "centrifugal-pump",
    seed: 0,
    start: "2026-01-29T00:00:00Z",
    end: "2026-01-31T00:00:00Z",
    days: 2,
    shortened: null,
    devices: 20,
    of_devices: 80,
    readings: 9000,
    of_readings: 36000,
    put_aside: 0,
    differing: 5,
    may_differ: null,
    in_all: { ...counts, rate },
    rules: [{ rule: "likely-to-fail", ...counts, rate }],
    peak: { before: 1, after: 2 },
    examples: [],
  }
  const report = {
    type: "centrifugal-pump",
    candidate: 2,
    in_force: 1,
    rules: ["likely-to-fail"],
    comparison,
  }
  await page.route("**/api/models/*/2/report?*", (route) => route.fulfill({ json: report }))
  await panel.getByRole("button", { name: "Preview" }).click()
  await expect(panel.getByText("One rule asks for a forecast: likely-to-fail.")).toBeVisible()
  await expect(panel.getByRole("row", { name: /likely-to-fail 4 9 5 0 1/ })).toBeVisible()
  await expect(panel.getByRole("columnheader", { name: "Version 2" })).toBeVisible()
})
