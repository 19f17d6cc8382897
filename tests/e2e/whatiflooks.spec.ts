/** The what-if pages with every kind of figure on them, from invented answers: whole and reachable, wide and narrow. */
import { expect, type Page, test } from "@playwright/test"
import { expectAccessible, expectNothingSideways } from "./checks"
import { answerWhatIf } from "./whatifanswers"

const LOOKS = [
  { width: 1440, height: 900, schemes: ["light", "dark"] },
  { width: 390, height: 844, schemes: ["dark", "light"] },
] as const

const PAGES: readonly (readonly [name: string, path: string, shown: (page: Page) => Promise<void>])[] = [
  ["library", "/whatif", (page) => expect(page.getByText("a host went away")).toHaveCount(0)],
  [
    "form",
    "/whatif/new?template=defer-maintenance",
    (page) => expect(page.getByText("about 95")).toBeVisible(),
  ],
  [
    "text",
    "/whatif/new?template=defer-maintenance&tab=text",
    async (page) => {
      await page.getByRole("textbox", { name: "Scenario as YAML" }).fill("name: a\np_fail: 3\n")
      await expect(page.getByText("give a number from 0 to 1")).toBeVisible()
    },
  ],
  ["running", "/whatif/e2", (page) => expect(page.getByText("replication 21 of 40")).toBeVisible()],
  [
    "done",
    "/whatif/e1?against=e2",
    async (page) => {
      await page.getByLabel("Devices, at most 5").fill("pump-1")
      await page.getByRole("button", { name: "Run again", exact: true }).click()
      await expect(page.getByRole("img", { name: /^Health of pump-1/ })).toBeVisible()
    },
  ],
  ["together", "/whatif/e1?drawn=together", (page) => expect(page.getByRole("img").first()).toBeVisible()],
]

for (const { width, height, schemes } of LOOKS) {
  test.describe(`${width} px`, () => {
    test.use({ viewport: { width, height }, colorScheme: schemes[0], reducedMotion: "reduce" })
    for (const [name, path, shown] of PAGES) {
      test(`${name} is whole and reachable in either scheme`, async ({ page }, info) => {
        await answerWhatIf(page)
        await page.goto(path)
        await expect(page.locator("main h1")).toBeVisible()
        await shown(page)
        await expect(page.locator("[role=status][data-shown]")).toHaveCount(0)
        for (const scheme of schemes) {
          await page.emulateMedia({ colorScheme: scheme })
          await expect(page.locator("html")).toHaveAttribute("data-mantine-color-scheme", scheme)
          await page.screenshot({ path: info.outputPath(`${name}-${scheme}-${width}.png`) })
          await expectAccessible(page)
          await expectNothingSideways(page)
        }
      })
    }
  })
}

test("the form writes the text, from the devices that were filtered", async ({ page }) => {
  await answerWhatIf(page)
  await page.goto("/devices?type=centrifugal-pump&q=oslo")
  await page.getByRole("button", { name: "What if…" }).click()
  const devices = page.getByRole("combobox", { name: "Which devices" })
  await expect(devices).toHaveValue("type = 'centrifugal-pump' and (id like '*oslo*' or name like '*oslo*')")
  await devices.fill("health < 60 and si")
  await page.keyboard.press("Tab")
  await expect(devices).toHaveValue("health < 60 and site ")
  await devices.fill("health < 60")
  const arm = page.getByRole("region", { name: "Earlier" })
  await arm.getByLabel("Maintenance").selectOption("when a failure is likely")
  await arm.getByLabel("Chance of failing above").fill("0.05")
  await arm.getByLabel("What else happens").selectOption("other weather")
  const weather = arm.getByRole("group", { name: "other weather" })
  await weather.getByLabel("Warmer by, K").fill("-2.5")
  await weather.getByLabel("Sites").fill("oslo, bergen")
  await page.getByRole("button", { name: "Add an arm" }).click()
  await page.getByRole("button", { name: "Remove the arm arm-3" }).click()
  await page.getByLabel("Replications", { exact: true }).selectOption("until it is known well enough")
  await page.getByRole("button", { name: "Energy", exact: true }).click()
  await page.getByRole("link", { name: "YAML" }).click()
  await expect(page.getByRole("textbox", { name: "Scenario as YAML" })).toHaveValue(`name: maintenance
title: "Does it pay to maintain earlier?"
base:
  start: live
  devices: "health < 60"
horizon_h: 720
step_s: 600
replications: 20
metrics: [failures, availability, cost, energy_kwh, alerts]
arms:
  - name: as-is
    title: As is
    policy:
      kind: run_to_failure
  - name: earlier
    title: Earlier
    policy:
      kind: prognosis
      p_fail: 0.05
      within_h: 168
    interventions:
      - ambient:
          shift_k: -2.5
          sites: [oslo, bergen]
stopping:
  metric: failures
  half_width: 0.05
`)
  await page.getByRole("link", { name: "Form" }).click()
  await expect(weather.getByLabel("Warmer by, K")).toHaveValue("-2.5")
})

test("a problem leads to its line, from the form too", async ({ page }) => {
  await answerWhatIf(page)
  await page.goto("/whatif/new?template=defer-maintenance")
  await page.getByRole("region", { name: "prognosis" }).getByLabel("Chance of failing above").fill("3")
  await expect(page.getByRole("button", { name: "Start", exact: true })).toBeDisabled()
  await page.getByRole("button", { name: /^Go to line/ }).click()
  const text = page.getByRole("textbox", { name: "Scenario as YAML" })
  await expect(text).toBeFocused()
  expect(
    await text.evaluate((area: HTMLTextAreaElement) =>
      area.value.slice(area.selectionStart, area.selectionEnd).trim(),
    ),
  ).toBe("p_fail: 3")
})

test("the course of all arms leaves as a picture", async ({ page }) => {
  await answerWhatIf(page)
  await page.goto("/whatif/e1?drawn=together&metric=failures")
  await expect(page.getByRole("img", { name: /^Failures over time, as-is/ })).toBeVisible()
  const picture = page.waitForEvent("download")
  await page.getByRole("button", { name: "Save as PNG" }).click()
  expect((await picture).suggestedFilename()).toBe("defer-maintenance-failures.png")
})
