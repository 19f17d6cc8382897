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
  ["running", "/whatif/e2", (page) => expect(page.getByText("replication 21 of at most 40")).toBeVisible()],
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
