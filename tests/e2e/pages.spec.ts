/** Every page is there, live, and reachable by everyone: no accessibility violation, light and wide or dark and narrow. */
import AxeBuilder from "@axe-core/playwright"
import { expect, test } from "@playwright/test"
import { NAMES, pages } from "./paths"

const LOOKS = [
  { colorScheme: "light", viewport: { width: 1440, height: 900 } },
  { colorScheme: "dark", viewport: { width: 390, height: 844 } },
] as const

for (const look of LOOKS) {
  test.describe(`${look.colorScheme}, ${look.viewport.width} px`, () => {
    test.use(look)
    for (const name of NAMES) {
      test(`${name} has no accessibility violation`, async ({ page, request }) => {
        const failures: string[] = []
        page.on("pageerror", (error) => failures.push(String(error)))
        await page.goto((await pages(request))[name])
        await expect(page.locator("main h1")).toBeAttached()
        await expect(page.locator("[role=status][data-shown]")).toHaveCount(0)
        const { violations } = await new AxeBuilder({ page })
          .withTags(["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"])
          .analyze()
        expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 160))])).toEqual(
          [],
        )
        expect(failures).toEqual([])
      })
    }
  })
}

test("the page never scrolls sideways on a phone", async ({ page, request }) => {
  await page.setViewportSize({ width: 390, height: 844 })
  for (const path of Object.values(await pages(request))) {
    await page.goto(path)
    await expect(page.locator("main h1")).toBeAttached()
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390)
  }
})

test("figures are live, with the age of the screen", async ({ page }) => {
  await page.goto("/")
  await expect(page.getByText(/^live · .* behind$/)).toBeVisible()
  await expect(page.getByRole("heading", { name: "Devices reporting" })).toBeVisible()
})

test("an address that leads nowhere says so", async ({ page }) => {
  await page.goto("/devices/no-such-device")
  await expect(page.getByText("No device no-such-device in this fleet")).toBeVisible()
  await page.goto("/nowhere")
  await expect(page.getByText("There is no page at this address")).toBeVisible()
})
