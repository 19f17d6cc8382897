/** Who looks, and where the pages are, with a device that has something to show. */
import type { APIRequestContext } from "@playwright/test"

/** An admin; `devfleet.py` has made the account. */
export const USER = {
  name: process.env.TWINFOLD_USER ?? "kari",
  password: process.env.TWINFOLD_PASSWORD ?? "grey heron over the lock gate",
}

/** Where the session of the first test lies for the others. */
export const SESSION = process.env.TWINFOLD_SESSION ?? ""

export const NAMES = [
  "overview",
  "devices",
  "device",
  "alerts",
  "groups",
  "journal",
  "kpis",
  "recommendations",
  "rules",
  "rulesOfType",
  "models",
  "model",
  "whatif",
  "scenario",
  "experiment",
  "people",
  "audit",
  "types",
  "type",
  "jobs",
  "system",
  "settings",
  "notifications",
  "channels",
  "deliveries",
  "login",
  "nowhere",
] as const

export async function pages(request: APIRequestContext): Promise<Record<(typeof NAMES)[number], string>> {
  const { items } = await (await request.get("/api/devices?sort=health&limit=1")).json()
  const experiments = await (await request.get("/api/whatif/experiments?limit=1")).json()
  return {
    overview: "/",
    devices: "/devices",
    device: `/devices/${encodeURIComponent(items[0].id)}`,
    alerts: "/alerts?tab=active&group=none",
    groups: "/alerts?tab=active&group=cause",
    journal: "/alerts/journal",
    kpis: "/alerts/kpis",
    recommendations: "/recommendations",
    rules: "/alerts/rules",
    rulesOfType: `/alerts/rules/${items[0].type}`,
    models: "/models",
    model: "/models/centrifugal-pump/2",
    whatif: "/whatif",
    scenario: "/whatif/new?devices=site%20%3D%20%27oslo%27",
    experiment: `/whatif/${encodeURIComponent(experiments.items[0]?.id ?? "1")}`, // furnished, where it is looked at
    people: "/admin/people",
    audit: "/admin/audit",
    types: "/admin/types",
    type: `/admin/types/${encodeURIComponent(items[0].type)}`,
    jobs: "/admin/jobs",
    system: "/admin/system",
    settings: "/settings",
    notifications: "/notifications",
    channels: "/notifications?tab=channels",
    deliveries: "/notifications?tab=deliveries",
    login: "/", // for who has no session
    nowhere: "/nowhere",
  }
}
