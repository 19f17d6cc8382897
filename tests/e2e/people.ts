/** A second person beside the one who is logged in. */
import type { APIRequestContext, Browser, Page } from "@playwright/test"

const HEADERS = { "x-requested-with": "twinfold" }
const PASSWORD = "seven brass kettles on a shelf"

/** An operator of this name, and a page of theirs with a session of its own; `baseURL` where it is not the tests' own. */
export async function another(
  browser: Browser,
  request: APIRequestContext,
  name: string,
  baseURL?: string,
): Promise<Page> {
  const made = await request.post("/api/users", { data: { name, role: "operator" }, headers: HEADERS })
  const { password } = await made.json()
  const context = await browser.newContext({
    storageState: { cookies: [], origins: [] },
    ...(baseURL ? { baseURL } : {}),
  })
  const login = (secret: string) =>
    context.request.post("/api/login", {
      data: { name, password: secret, session: "browser" },
      headers: HEADERS,
    })
  await login(password)
  await context.request.post("/api/me/password", {
    data: { old: password, new: PASSWORD },
    headers: HEADERS,
  })
  await login(PASSWORD)
  return context.newPage()
}
