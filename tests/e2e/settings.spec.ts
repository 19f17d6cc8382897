/** What a person chooses follows their account, and only theirs; sessions elsewhere are ended. */
import { type APIRequestContext, type Browser, expect, test } from "@playwright/test"

const OURS = { "x-requested-with": "twinfold" }
const CHOSEN = "seven brass kettles on a shelf"

/** A new person, logged in by a browser of their own. */
async function person(browser: Browser, request: APIRequestContext, role = "operator") {
  const name = `siri-${Date.now()}`
  const { password } = await (
    await request.post("/api/users", { headers: OURS, data: { name, role } })
  ).json()
  const logIn = async (secret: string) => {
    const context = await browser.newContext({ storageState: { cookies: [], origins: [] } })
    const data = { name, password: secret, session: "browser" }
    expect((await context.request.post("/api/login", { headers: OURS, data })).status()).toBe(200)
    return context
  }
  const first = await logIn(password)
  const change = { old: password, new: CHOSEN }
  expect((await first.request.post("/api/me/password", { headers: OURS, data: change })).status()).toBe(204)
  return { name, context: first, again: () => logIn(CHOSEN) }
}

test("theme, rows, zone and sounds follow the person to another browser", async ({ browser, request }) => {
  const { context, again } = await person(browser, request)
  const page = await context.newPage()
  await page.goto("/settings")
  await page.getByLabel("Theme").selectOption("dark")
  await page.getByLabel("Rows").selectOption("compact")
  await page.getByLabel("Time zone").selectOption("Asia/Tokyo")
  await page.getByRole("checkbox", { name: "critical" }).check()
  await expect(page.locator("html")).toHaveAttribute("data-mantine-color-scheme", "dark")
  const kept = async () => (await (await context.request.get("/api/me/settings")).json()) as object
  const wanted = { theme: "dark", density: "compact", time_zone: "Asia/Tokyo", sounds: ["critical"] }
  await expect.poll(kept).toMatchObject(wanted)

  const elsewhere = await again()
  const other = await elsewhere.newPage()
  await other.goto("/settings")
  await expect(other.locator("html")).toHaveAttribute("data-mantine-color-scheme", "dark")
  await expect(other.locator("html")).toHaveAttribute("data-density", "compact")
  await expect(other.getByLabel("Time zone")).toHaveValue("Asia/Tokyo")
  await expect(other.getByRole("checkbox", { name: "critical" })).toBeChecked()
  await other.getByRole("button", { name: "Mute", exact: true }).click()
  await expect(other.getByRole("checkbox", { name: "Mute for now" })).toBeChecked()
  await expect.poll(kept).toMatchObject({ ...wanted, muted: true })

  await page.bringToFront()
  await page.reload()
  await page
    .getByRole("button", { name: /^End the session of/ })
    .first()
    .click()
  await page.getByRole("button", { name: /for sure$/ }).click()
  await expect(page.getByRole("button", { name: /^End the session of/ })).toHaveCount(0)
  expect((await elsewhere.request.get("/api/me")).status()).toBe(401)
  await context.close()
  await elsewhere.close()
})

test("units follow the person, and figures with them on a device's page and its charts", async ({
  browser,
  request,
}) => {
  const { items } = await (await request.get("/api/devices?filter=type = 'screw-compressor'&limit=1")).json()
  const { context } = await person(browser, request)
  const page = await context.newPage()
  const device = `/devices/${encodeURIComponent(items[0].id)}`
  await page.goto(device)
  const values = page.getByRole("region", { name: "Latest values" })
  await expect(values).toContainText(/[\d.]+\s°C/)
  await page.goto("/settings")
  await page.getByLabel("Units").selectOption("us")
  const kept = async () => (await (await context.request.get("/api/me/settings")).json()) as object
  await expect.poll(kept).toMatchObject({ units: "us" })
  await page.goto(device)
  await expect(values).toContainText(/[\d.]+\s°F/)
  await expect(values).toContainText(/[\d.]+\spsi/)
  await expect(values).not.toContainText("°C")
  await expect(page.getByRole("img", { name: /, °F\. Latest/ }).first()).toBeVisible()
  await context.close()
})

test("a new alert is heard by its priority, unless muted", async ({ browser, request }) => {
  const { context } = await person(browser, request) // whose sounds no other test chooses
  const page = await context.newPage()
  const [alert] = (await (await request.get("/api/alerts?limit=1")).json()).items
  let send = (_: object) => {}
  await page.routeWebSocket("**/api/live", (socket) => {
    const server = socket.connectToServer()
    server.onMessage((message) => {
      if (!message.includes('"NEW_ALERT"')) socket.send(message) // only the test's own alerts are heard
    })
    send = (message) => socket.send(JSON.stringify(message))
  })
  await page.addInitScript(() => {
    const heard: number[] = []
    Object.assign(window, { heard })
    const start = OscillatorNode.prototype.start
    OscillatorNode.prototype.start = function (at?: number) {
      heard.push(this.frequency.value)
      start.call(this, at)
    }
  })
  await page.goto("/settings")
  await page.getByRole("checkbox", { name: "critical" }).check()
  const kept = async () => (await (await context.request.get("/api/me/settings")).json()) as object
  await expect.poll(kept).toMatchObject({ sounds: ["critical"], muted: false })
  await expect(page.getByText(/^live/)).toBeVisible() // the socket is there
  const heard = () => page.evaluate(() => (window as unknown as { heard: number[] }).heard.length)
  const raise = (priority: string) =>
    send({ type: "NEW_ALERT", seq: 1, cursor: "", data: { ...alert, priority, state: "UNACK" } })
  raise("low")
  raise("critical")
  await expect.poll(heard).toBe(5) // and not the low one
  await page.getByRole("button", { name: "Test the sound of low" }).click()
  await expect.poll(heard).toBe(6)
  await page.getByRole("checkbox", { name: "Mute for now" }).check()
  await expect.poll(kept).toMatchObject({ muted: true })
  raise("critical")
  await page.getByRole("button", { name: "Test the sound of low" }).click()
  await expect.poll(heard).toBe(7)
  await context.close()
})

test("a viewer is offered neither notifications nor keys", async ({ browser, request }) => {
  const { context } = await person(browser, request, "viewer")
  const page = await context.newPage()
  await page.goto("/settings")
  await expect(page.getByRole("heading", { name: "Where you are logged in" })).toBeVisible()
  await expect(page.getByRole("link", { name: "Notifications" })).toHaveCount(0)
  await expect(page.getByRole("link", { name: "Administration" })).toHaveCount(0)
  await page.goto("/notifications")
  await expect(page.getByText("This page is for operators and above")).toBeVisible()
  await context.close()
})
