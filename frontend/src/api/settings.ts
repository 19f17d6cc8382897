/** What somebody chose, as their account keeps it. */
import { type QueryClient, queryOptions } from "@tanstack/react-query"
import type { Preferences } from "@/words/preferences"
import { ApiError, api } from "./client"
import { keys } from "./queries"
import type { Settings, SettingsItem } from "./schema"

const STALE_MS = 60_000

export const settingsQuery = queryOptions({
  queryKey: keys.settings,
  queryFn: ({ signal }) => api<SettingsItem>("/me/settings", { signal }),
  staleTime: STALE_MS,
})

/** Settings as the app's preferences. */
export function preferencesOf(settings: SettingsItem): Preferences {
  const { theme, density, language, units, time_zone, keys: single, sounds, muted } = settings
  return { scheme: theme, density, language, units, zone: time_zone, keys: single, sounds, muted }
}

/** Preferences, or some of them, as the API's settings. */
export function settingsOf({ scheme, zone, ...same }: Partial<Preferences>) {
  const settings = { theme: scheme, time_zone: zone, ...same }
  return Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== undefined),
  ) as Partial<Settings>
}

/** What was changed and is not on its way yet. */
let waiting: Partial<Preferences> = {}
let last: Promise<unknown> = Promise.resolve()

/**
 * Keep changes with the account, one save after the other. Where nothing was kept yet, all of `now` is. Somebody who is
 * logged in twice changes what the other one kept, not what they had when they began.
 */
export function saveSettings(
  cache: QueryClient,
  changes: Partial<Preferences>,
  now: Preferences,
): Promise<void> {
  waiting = { ...waiting, ...changes }
  const saving = last.then(() => send(cache, now))
  last = saving.catch(() => undefined)
  return saving
}

async function send(cache: QueryClient, now: Preferences): Promise<void> {
  const changes = waiting
  waiting = {}
  if (Object.keys(changes).length === 0) return
  await cache.cancelQueries({ queryKey: keys.settings })
  const known = cache.getQueryData<SettingsItem>(keys.settings) ?? (await fresh(cache))
  try {
    await put(cache, known, changes, now)
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 412) throw error
    await put(cache, await fresh(cache), changes, now)
  }
}

function fresh(cache: QueryClient): Promise<SettingsItem> {
  return cache.fetchQuery({ ...settingsQuery, staleTime: 0 })
}

async function put(
  cache: QueryClient,
  { revision, ...known }: SettingsItem,
  changes: Partial<Preferences>,
  now: Preferences,
): Promise<void> {
  const body = { ...known, ...settingsOf(revision === 0 ? now : changes) }
  const kept = await api<SettingsItem>("/me/settings", { method: "PUT", body, revision })
  cache.setQueryData(keys.settings, { ...kept, ...settingsOf(waiting) })
}
