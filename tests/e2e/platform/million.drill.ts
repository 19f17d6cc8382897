/** A million devices: the map is painted at once, and the table goes to any row. */
import { expect, type Page, test } from "@playwright/test"
import { atRest, quantile, report } from "./figures"
import { Platform } from "./platform"

const SITES = ["cork", "gdansk", "lyon", "oslo", "porto"]
const TOTAL = Number(process.env.TWINFOLD_DEVICES ?? 1_000_000)
const climate = "{mean_c: 6, yearly_c: 11, daily_c: 3, weather_c: 3}"
const FLEET = `
name: million
seed: 3
sites:
${SITES.map((name) => `  - {name: ${name}, title: ${name}, latitude: 60, longitude: 10, climate: ${climate}}`).join("\n")}
devices: [{type: power-meter, count: ${TOTAL / SITES.length}, id: "{site}-meter-{n:06}", interval_s: 7200}]
`
const FEW = 500
/** Which rows are gone to, as shares of the list. */
const SHARES = [0.9, 0.5, 0.100001, 0.99999, 0.9, 0.25, 0.75, 0]

let platform: Platform

test.beforeAll(async () => {
  platform = await Platform.up({ fleet: FLEET, storeMb: 2400 })
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
  // What a million registrations left to do is done before anything is timed.
  await expect.poll(() => behind(page), { timeout: 900_000 }).toBeLessThan(FEW)
  await atRest()

  await page.addInitScript(watchPaints)
  const painted: Paint[] = []
  for (let i = 0; i < 5; i++) {
    await page.goto("/")
    await expect(page.getByRole("application")).toHaveAttribute(
      "aria-label",
      new RegExp(`${TOTAL.toLocaleString("en")} devices in 5 sites`),
    )
    await expect.poll(() => paints(page)).not.toEqual([])
    painted.push(...(await paints(page)))
  }
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
  for (const share of SHARES) {
    const row = Math.floor(share * TOTAL) + 1
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
      first: jumps[0],
      devices: TOTAL,
      jumps: jumps.length,
    },
  )
})

/** How many journal entries are not in history yet. */
async function behind(page: Page): Promise<number> {
  const { hosts } = await (await page.request.get("/api/ready")).json()
  return hosts.reduce(
    (sum: number, { cursor, archived }: { cursor: number; archived: number | null }) =>
      sum + cursor - (archived ?? 0),
    0,
  )
}

/** From the Enter key until the row is in view and read, ms. */
async function jump(page: Page, row: number): Promise<number> {
  await page.getByLabel(/Go to row/).fill(String(row))
  await page.evaluate(watchRow, row + 1)
  await page.keyboard.press("Enter")
  return page.evaluate(() => (window as unknown as { arrived: Promise<number> }).arrived)
}

/** Runs in the page: begins to count when a form is sent, and ends when the row of this index is there. */
function watchRow(index: number): void {
  let began = 0
  const begin = () => {
    began = performance.now()
  }
  addEventListener("submit", begin, { capture: true, once: true })
  const arrived = new Promise<number>((done) => {
    const look = () => {
      const found = document.querySelector(`[aria-rowindex="${index}"]:not([aria-busy])`)
      const box = found?.getBoundingClientRect()
      if (began && box && box.top < innerHeight && box.bottom > 0) done(performance.now() - began)
      else requestAnimationFrame(look)
    }
    look()
  })
  Object.assign(window, { arrived })
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

function paints(page: Page): Promise<Paint[]> {
  return page.evaluate(() => (window as unknown as { paints: Paint[] }).paints)
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
