/** A million devices: the map is painted at once, and the table goes to any row. */
import { expect, type Page, test } from "@playwright/test"
import { quantile, report } from "./figures"
import { Platform } from "./platform"

const SITES = ["cork", "gdansk", "lyon", "oslo", "porto"]
const TOTAL = 1_000_000
const climate = "{mean_c: 6, yearly_c: 11, daily_c: 3, weather_c: 3}"
const FLEET = `
name: million
seed: 3
sites:
${SITES.map((name) => `  - {name: ${name}, title: ${name}, latitude: 60, longitude: 10, climate: ${climate}}`).join("\n")}
devices: [{type: power-meter, count: ${TOTAL / SITES.length}, id: "{site}-meter-{n:06}", interval_s: 7200}]
`
const ROWS = [900_000, 500_000, 100_001, 999_990, 900_000, 250_000, 750_000, 1]

let platform: Platform

test.beforeAll(async () => {
  platform = await Platform.up({ fleet: FLEET })
})

test.afterAll(async () => {
  await platform?.stop()
})

test("the whole fleet on the map, and the table at any row", async ({ browser }) => {
  const context = await platform.loggedIn(browser)
  const page = await context.newPage()
  await expect
    .poll(async () => (await (await page.request.get("/api/devices?limit=1")).json()).total, {
      timeout: 900_000,
    })
    .toBe(TOTAL)

  await page.addInitScript(watchPaints)
  for (let i = 0; i < 5; i++) {
    await page.goto("/")
    await expect(page.getByRole("application")).toHaveAttribute("aria-label", /1,000,000 devices in 5 sites/)
    await expect.poll(() => paints(page)).toBeGreaterThan(0)
  }
  const painted = await page.evaluate(() => (window as unknown as { paints: Paint[] }).paints)
  const map = painted.map(({ ms }) => ms)
  const { put, cells } = await page.evaluate(putAlone)
  report(
    "a million cells painted, worst",
    Math.max(...map),
    "ms",
    put,
    "an image of that size put on the canvas",
    {
      floor: 100,
      p50: quantile(map, 0.5),
      paints: map.length,
      pixels: cells,
    },
  )

  await page.goto("/devices?sort=id")
  await expect(page.getByRole("table")).toHaveAttribute("aria-rowcount", String(TOTAL + 1))
  const jumps: number[] = []
  const asked: number[] = []
  for (const row of ROWS) {
    jumps.push(await jump(page, row))
    const shown = await page
      .locator(`[aria-rowindex="${row + 1}"]`)
      .getByRole("link")
      .first()
      .textContent()
    const path = `/api/devices?sort=id&limit=1&offset=${row - 1}`
    const [ms, id] = await page.evaluate(async (url) => {
      const began = performance.now()
      const { items } = await (await fetch(url)).json()
      return [performance.now() - began, items[0].id]
    }, path)
    asked.push(ms)
    expect(shown).toBe(id)
  }
  report(
    "jump in a table of a million rows, worst",
    Math.max(...jumps),
    "ms",
    Math.max(...asked),
    "the API's answer alone",
    {
      floor: 1000,
      p50: quantile(jumps, 0.5),
      to_900_000: jumps[0],
      jumps: jumps.length,
    },
  )
})

/** From the Enter key until the row is there and read, ms. */
async function jump(page: Page, row: number): Promise<number> {
  await page.getByLabel(/Go to row/).fill(String(row))
  const took = page.evaluate(
    (index) =>
      new Promise<number>((done) => {
        let began = 0
        addEventListener(
          "submit",
          () => {
            began = performance.now()
          },
          { capture: true, once: true },
        )
        const look = () => {
          const found = document.querySelector(`[aria-rowindex="${index}"]:not([aria-busy])`)
          const box = found?.getBoundingClientRect()
          if (began && box && box.top < innerHeight && box.bottom > 0) done(performance.now() - began)
          else requestAnimationFrame(look)
        }
        look()
      }),
    row + 1,
  )
  await page.keyboard.press("Enter")
  return took
}

interface Paint {
  readonly ms: number
}

/** Runs in the page: how long it takes from an image's making until it is on the canvas. */
function watchPaints(): void {
  const paints: Paint[] = []
  let began = 0
  Object.assign(window, { paints })
  const pen = CanvasRenderingContext2D.prototype
  const { createImageData, putImageData } = pen
  pen.createImageData = function (this: CanvasRenderingContext2D, ...size: unknown[]) {
    began = performance.now()
    return (createImageData as (...size: unknown[]) => ImageData).apply(this, size)
  } as typeof createImageData
  pen.putImageData = function (this: CanvasRenderingContext2D, ...image: unknown[]) {
    ;(putImageData as (...image: unknown[]) => void).apply(this, image)
    paints.push({ ms: performance.now() - began })
  } as typeof putImageData
}

function paints(page: Page): Promise<number> {
  return page.evaluate(() => (window as unknown as { paints: Paint[] }).paints.length)
}

/** Runs in the page: how long it takes to put an image of the map's size on a canvas. */
function putAlone(): { put: number; cells: number } {
  const { width, height } = document.querySelector("[role=application] canvas") as HTMLCanvasElement
  const canvas = Object.assign(document.createElement("canvas"), { width, height })
  const pen = canvas.getContext("2d") as CanvasRenderingContext2D
  const began = performance.now()
  pen.putImageData(pen.createImageData(width, height), 0, 0)
  return { put: performance.now() - began, cells: width * height }
}
