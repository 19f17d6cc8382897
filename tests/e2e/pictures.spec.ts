/**
 * Every page, wide and narrow, light and dark: whole, reachable by everyone, and a picture of it.
 *
 * With `TWINFOLD_PICTURES=FOLDER` the pictures go there, else among what the tests leave. Each page is loaded once a width,
 * wide in light and narrow in dark, and then told that the reader's scheme is the other one.
 */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { expect, type Page, type Request, test } from "@playwright/test"
import { expectAccessible, expectNothingSideways } from "./checks"
import { furnish } from "./furnishing"
import { NAMES, pages } from "./paths"

const LOOKS = [
  { width: 1440, height: 900, schemes: ["light", "dark"] },
  { width: 390, height: 844, schemes: ["dark", "light"] },
] as const

const folder = process.env.TWINFOLD_PICTURES

/** The first questions to a history take long. */
const ANSWERED_MS = 60_000
test.describe.configure({ timeout: 3 * ANSWERED_MS })

/** What a browser complains about where all is well: who is not logged in is told so. */
const EXPECTED: Partial<Record<(typeof NAMES)[number], RegExp>> = { login: /status of 401/ }

test.beforeAll(async ({ playwright }, { project }) => {
  const { baseURL, storageState } = project.use
  const request = await playwright.request.newContext({ baseURL, storageState })
  await furnish(request)
  await request.dispose()
})

for (const { width, height, schemes } of LOOKS) {
  test.describe(`${width} px`, () => {
    test.use({ viewport: { width, height }, colorScheme: schemes[0], reducedMotion: "reduce" })
    for (const name of NAMES) {
      test(`${name} is whole and reachable in either scheme`, async ({ page, request }, info) => {
        const path = (await pages(request))[name]
        if (name === "login") await page.context().clearCookies()
        const { asked, complaints } = watch(page)
        await page.goto(path)
        for (const scheme of schemes) {
          await page.emulateMedia({ colorScheme: scheme })
          await expect(page.locator("html")).toHaveAttribute("data-mantine-color-scheme", scheme)
          await settled(page, asked)
          const file = `${name}-${scheme}-${width}.webp`
          await page.screenshot({ path: folder ? join(folder, file) : info.outputPath(file), type: "webp" })
          await expectAccessible(page)
          await expectNothingSideways(page)
        }
        expect(complaints.filter((text) => !EXPECTED[name]?.test(text))).toEqual([])
      })
    }
  })
}

test("the pictures that are kept are of these pages", () => {
  const kept = readdirSync(join(test.info().project.testDir, "../../docs/pictures"))
  const wanted = NAMES.flatMap((name) =>
    LOOKS.flatMap(({ width, schemes }) => schemes.map((scheme) => `${name}-${scheme}-${width}.webp`)),
  )
  expect(kept.filter((file) => file !== "README.md").sort()).toEqual(wanted.sort())
})

/** What the page has asked for and not got yet, and what the browser complains about. */
function watch(page: Page) {
  const asked = new Set<Request>()
  const complaints: string[] = []
  page.on("request", (request) => asked.add(request))
  page.on("requestfinished", (request) => asked.delete(request))
  page.on("requestfailed", (request) => asked.delete(request))
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()))
  page.on("pageerror", (error) => complaints.push(String(error)))
  return { asked, complaints }
}

/** Waits until the page shows what it is about, as it will stay but for news. */
async function settled(page: Page, asked: ReadonlySet<Request>): Promise<void> {
  await expect(page.locator("main h1")).toBeAttached()
  await expect(page.locator("[role=status][data-shown], [data-state=connecting]")).toHaveCount(0)
  await expect.poll(() => asked.size, { timeout: ANSWERED_MS }).toBe(0)
  await page.evaluate(async () => {
    await document.fonts.ready
    await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))
  })
}
