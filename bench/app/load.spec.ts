/**
 * How long the overview takes to load for the first time, logged in and with nothing cached, on Lighthouse's desktop and phone.
 *
 * Reference: the health route of the same server, a line of text, loaded in turn with it. Medians of five loads each.
 *
 *     npm run bench        (in frontend/)
 */
import { type Browser, expect, type Page, test } from "@playwright/test"
import { USER } from "../../tests/e2e/paths"
import { quantile, report } from "../../tests/e2e/platform/figures"
import { CONDITIONS, type Conditions, type Measured, network, score } from "./lighthouse"
import { observe, whenQuiet } from "./observing"

const TIMES = 5
const TEXT = "GET /api/health of the same server, a line of text"

interface Load extends Measured {
  readonly requests: number
  readonly kbytes: Readonly<Record<string, number>>
}

type Session = Awaited<ReturnType<typeof logIn>>

for (const [name, conditions] of Object.entries(CONDITIONS)) {
  test(name, async ({ browser }) => {
    const session = await logIn(browser)
    const [app, text]: [Load[], Load[]] = [[], []]
    for (let time = 0; time < TIMES; time += 1) {
      text.push(await load(browser, session, "/api/health", conditions))
      app.push(await load(browser, session, "/", conditions))
    }
    print(name, conditions, medians(app), medians(text))
  })
}

async function logIn(browser: Browser) {
  const context = await browser.newContext()
  const { name, password } = USER
  const log = { name, password, session: "browser" }
  expect((await context.request.post("/api/login", { data: log })).status()).toBe(200)
  const state = await context.storageState()
  await context.close()
  return state
}

async function load(
  browser: Browser,
  storageState: Session,
  path: string,
  conditions: Conditions,
): Promise<Load> {
  const context = await browser.newContext({ ...conditions.screen, storageState })
  const page = await context.newPage()
  await observe(page)
  const transferred = await slowDown(page, conditions)
  await page.goto(path)
  const measured = await whenQuiet(page)
  await context.close()
  return { ...measured, requests: transferred.requests, kbytes: transferred.kbytes }
}

/** Slows the page down, and counts what it fetches from then on. */
async function slowDown(page: Page, conditions: Conditions) {
  const tools = await page.context().newCDPSession(page)
  const kinds = new Map<string, string>()
  const transferred = { requests: 0, kbytes: {} as Record<string, number> }
  tools.on("Network.requestWillBeSent", () => {
    transferred.requests += 1
  })
  tools.on("Network.responseReceived", ({ requestId, type }) => kinds.set(requestId, type.toLowerCase()))
  tools.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const kind = kinds.get(requestId) ?? "other"
    transferred.kbytes[kind] = (transferred.kbytes[kind] ?? 0) + encodedDataLength / 1000
  })
  await tools.send("Network.enable")
  await tools.send("Network.emulateNetworkConditions", network(conditions))
  await tools.send("Emulation.setCPUThrottlingRate", { rate: conditions.cpuSlowdown })
  return transferred
}

function medians(loads: readonly Load[]): Load {
  const of = (told: (load: Load) => number) => quantile(loads.map(told), 0.5)
  const kinds = new Set(loads.flatMap(({ kbytes }) => Object.keys(kbytes)))
  return {
    first_contentful_paint: of((each) => each.first_contentful_paint),
    largest_contentful_paint: of((each) => each.largest_contentful_paint),
    total_blocking_time: of((each) => each.total_blocking_time),
    cumulative_layout_shift: of((each) => each.cumulative_layout_shift),
    requests: of((each) => each.requests),
    kbytes: Object.fromEntries(
      [...kinds].sort().map((kind) => [kind, Number(of(({ kbytes }) => kbytes[kind] ?? 0).toFixed(1))]),
    ),
  }
}

function print(name: string, conditions: Conditions, app: Load, text: Load): void {
  const told = (what: string, unit: string, of: (load: Load) => number, more: object = {}) =>
    report(`app_load.${name}.${what}`, of(app), unit, of(text), TEXT, { loads: TIMES, ...more })
  told("first_contentful_paint", "ms", (each) => each.first_contentful_paint)
  told("largest_contentful_paint", "ms", (each) => each.largest_contentful_paint)
  told("total_blocking_time", "ms", (each) => each.total_blocking_time)
  told("cumulative_layout_shift", "1", (each) => each.cumulative_layout_shift)
  told("transferred", "kB", ({ kbytes }) => Object.values(kbytes).reduce((sum, each) => sum + each, 0), {
    of_which: app.kbytes,
  })
  told("requests", "1", (each) => each.requests)
  told("score", "of 100", (each) => score(each, conditions), { curves: "Lighthouse 12, without speed index" })
}
