/**
 * Pictures of every page at 1440 and 390 px, light and dark, from a running platform.
 *
 *     TWINFOLD_URL=http://127.0.0.1:8000 TWINFOLD_USER=kari TWINFOLD_PASSWORD=… CHROMIUM=/usr/bin/chromium \
 *       node tools/screenshots.mjs OUT [page ...]
 */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { chromium } from "@playwright/test"

const [out = "screenshots", ...only] = process.argv.slice(2)
const url = process.env.TWINFOLD_URL ?? "http://127.0.0.1:8000"
const sizes = { 1440: { width: 1440, height: 900 }, 390: { width: 390, height: 844 } }

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
})
mkdirSync(out, { recursive: true })
const session = await browser.newContext()
const login = await session.request.post(`${url}/api/login`, {
  data: {
    name: process.env.TWINFOLD_USER ?? "kari",
    password: process.env.TWINFOLD_PASSWORD ?? "grey heron over the lock gate",
    session: "browser",
  },
})
if (!login.ok()) throw new Error(await login.text())
const storageState = await session.storageState()
const first = async (path) => (await (await session.request.get(url + path)).json()).items[0]
const device = (await first("/api/alerts?limit=1"))?.device_id ?? (await first("/api/devices?limit=1")).id
const { type } = await first(`/api/devices?filter=${encodeURIComponent(`id = '${device}'`)}`)
const pages = {
  overview: "/",
  devices: "/devices",
  device: `/devices/${encodeURIComponent(device)}`,
  alerts: "/alerts?tab=active&group=none",
  groups: "/alerts?tab=active&group=cause",
  journal: "/alerts/journal",
  kpis: "/alerts/kpis",
  rules: `/alerts/rules/${type}`,
  people: "/admin/people",
  audit: "/admin/audit",
  types: "/admin/types",
  type: "/admin/types/centrifugal-pump",
  jobs: "/admin/jobs",
  system: "/admin/system",
  settings: "/settings",
  notifications: "/notifications",
  channels: "/notifications?tab=channels",
  deliveries: "/notifications?tab=deliveries",
}

for (const [width, viewport] of Object.entries(sizes)) {
  for (const scheme of ["light", "dark"]) {
    const context = await browser.newContext({
      storageState,
      viewport,
      colorScheme: scheme,
      timezoneId: "Europe/Oslo",
      reducedMotion: "reduce",
    })
    const page = await context.newPage()
    page.on("console", (message) => message.type() === "error" && process.stderr.write(`${message.text()}\n`))
    page.on("pageerror", (error) => process.stderr.write(`${error.stack}\n`))
    for (const [name, path] of Object.entries(pages)) {
      if (only.length > 0 && !only.includes(name)) continue
      await page.goto(url + path)
      await page.waitForLoadState("networkidle").catch(() => undefined)
      await page.waitForTimeout(2500)
      await page.screenshot({ path: join(out, `${name}-${scheme}-${width}.png`) })
    }
    await context.close()
  }
}
await browser.close()
