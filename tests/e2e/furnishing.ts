/** What people would have set up by now, so that the pages about it have something to show. */
import { type APIRequestContext, expect } from "@playwright/test"
import { USER } from "./paths"

const HEADERS = { "x-requested-with": "twinfold" }
const RULES = "/api/types/wind-turbine/rules"
const EXPERIMENT_MS = 120_000
const WHAT_IF = {
  name: "pumps-earlier",
  title: "Does it pay to overhaul pumps earlier?",
  base: { devices: "type = 'centrifugal-pump'" },
  horizon_h: 720,
  step_s: 600,
  replications: 10,
  arms: [
    { name: "as-is", title: "As is", policy: { kind: "run_to_failure" } },
    { name: "below-60", title: "Below 60", policy: { kind: "threshold", when: "health < 60" } },
    { name: "monthly", title: "Each month", policy: { kind: "fixed_interval", every_h: 720 } },
  ],
}

/** Accounts, a key, channels and routes, a delivery, jobs and an experiment; once, and only in a fleet that was started for tests. */
export async function furnish(request: APIRequestContext): Promise<void> {
  if (process.env.TWINFOLD_URL) return
  const { items } = await (await request.get("/api/notifications/routes")).json()
  if (items.length > 0) return
  const make = async (path: string, data: object) => {
    const made = await request.post(path, { headers: HEADERS, data })
    if (!made.ok()) throw new Error(`${path}: ${await made.text()}`)
    return made.json()
  }
  await make("/api/users", { name: "ingrid", role: "operator" })
  await make("/api/users", { name: "tiago", role: "engineer" })
  await make("/api/keys", {
    name: "Gateway of the pump hall",
    scope: { sites: ["oslo"] },
    lasts_s: 90 * 86_400,
  })
  const { channel } = await make("/api/notifications/channels", {
    name: "Control room",
    kind: "webhook",
    account: USER.name,
    url: "https://control-room.invalid/alerts",
  })
  await make("/api/notifications/routes", {
    name: "Urgent, at any hour",
    priority: "high",
    steps: [
      { after_s: 60, to: [`channel:${channel.id}`] },
      { after_s: 900, to: ["role:admin"] },
    ],
  })
  await make("/api/notifications/routes", {
    name: "Water, by day",
    types: ["centrifugal-pump"],
    zone: "Europe/Oslo",
    quiet: [{ start: "22:00", end: "06:00" }],
    steps: [{ after_s: 300, to: [`account:${USER.name}`] }],
  })
  await make(`/api/notifications/channels/${channel.id}/test`, {})
  const rules = await (await request.get(`${RULES}/export`)).text()
  await request.post(`${RULES}/rehearsals?days=1`, {
    headers: { ...HEADERS, "content-type": "application/yaml" },
    data: rules.replace("priority: medium", "priority: high"),
  })
  const { id } = await make("/api/whatif/experiments", WHAT_IF)
  await expect
    .poll(async () => (await (await request.get(`/api/whatif/experiments/${id}`)).json()).state, {
      timeout: EXPERIMENT_MS,
    })
    .toBe("done")
}
