import { QueryClient } from "@tanstack/react-query"
import { beforeEach, expect, test, vi } from "vitest"
import type { Preferences } from "@/words/preferences"
import { keys } from "./queries"
import type { Settings, SettingsItem } from "./schema"
import { preferencesOf, saveSettings, settingsOf } from "./settings"

const FIRST: SettingsItem = {
  theme: "auto",
  density: "comfortable",
  language: "",
  units: "measured",
  time_zone: "",
  keys: true,
  sounds: [],
  muted: false,
  revision: 0,
}
let server: SettingsItem
let puts: Settings[]
let cache: QueryClient

beforeEach(() => {
  server = FIRST
  puts = []
  cache = new QueryClient()
  vi.stubGlobal("fetch", async (_: string, { method, headers, body }: RequestInit) => {
    if (method === "PUT") {
      const match = (headers as Record<string, string>)["if-match"]
      if (match !== `"${server.revision}"`) return new Response("{}", { status: 412 })
      puts.push(JSON.parse(String(body)))
      server = { ...FIRST, ...JSON.parse(String(body)), revision: server.revision + 1 }
    }
    return Response.json(server)
  })
})

const now = (changes: Partial<Preferences>): Preferences => ({ ...preferencesOf(FIRST), ...changes })

test("preferences and settings are each other's image", () => {
  const { revision: _, ...settings } = { ...FIRST, theme: "dark", sounds: ["high"] } as SettingsItem
  expect({ ...FIRST, ...settingsOf(preferencesOf({ ...FIRST, ...settings })), revision: 0 }).toEqual({
    ...settings,
    revision: 0,
  })
  expect(settingsOf({ zone: "UTC" })).toEqual({ time_zone: "UTC" })
})

test("the first save keeps all that this browser had", async () => {
  await saveSettings(cache, { density: "compact" }, now({ density: "compact", scheme: "dark" }))
  expect(server).toMatchObject({ density: "compact", theme: "dark", revision: 1 })
})

test("a later save changes only what was changed, also after somebody else did", async () => {
  server = { ...FIRST, revision: 3 }
  cache.setQueryData(keys.settings, server)
  server = { ...server, theme: "light", revision: 4 }
  await saveSettings(cache, { muted: true }, now({ muted: true }))
  expect(server).toMatchObject({ theme: "light", muted: true, revision: 5 })
})

test("what is changed while a save is on its way is not taken back by its answer", async () => {
  server = { ...FIRST, revision: 1 }
  const first = saveSettings(cache, { scheme: "dark" }, now({}))
  await Promise.resolve()
  const second = saveSettings(cache, { density: "compact" }, now({}))
  await first
  expect(cache.getQueryData<SettingsItem>(keys.settings)).toMatchObject({ density: "compact" })
  await second
  expect(server).toMatchObject({ theme: "dark", density: "compact" })
  expect(puts.length).toBeLessThanOrEqual(2)
})
