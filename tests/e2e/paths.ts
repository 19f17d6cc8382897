/** Where the pages are, with a device that has something to show. */
import type { APIRequestContext } from "@playwright/test"

export async function pages(request: APIRequestContext) {
  const { items } = await (await request.get("/api/devices?sort=health&limit=1")).json()
  return {
    overview: "/",
    devices: "/devices",
    device: `/devices/${encodeURIComponent(items[0].id)}`,
    alerts: "/alerts?tab=active",
  }
}
