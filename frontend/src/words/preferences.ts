/** What one reader chose, kept in this browser: theme, time zone, single-key shortcuts. */
import { useSyncExternalStore } from "react"
import { setZone } from "./times"

export interface Preferences {
  readonly scheme: "auto" | "light" | "dark"
  /** IANA name; empty: this computer's. */
  readonly zone: string
  readonly keys: boolean
}

const INITIAL: Preferences = { scheme: "auto", zone: "", keys: true }
const STORED: { readonly [K in keyof Preferences]: string } = {
  scheme: "twinfold.scheme",
  zone: "twinfold.zone",
  keys: "twinfold.keys",
}

let chosen = read()
const listeners = new Set<() => void>()

/** The choices in force. */
export function preferences(): Preferences {
  return chosen
}

/** Change some choices, here and for the next visit. */
export function prefer(changes: Partial<Preferences>): void {
  chosen = { ...chosen, ...changes }
  setZone(chosen.zone || undefined)
  for (const [key, value] of Object.entries(changes)) write(STORED[key as keyof Preferences], String(value))
  for (const listener of listeners) listener()
}

/** The choices in force, followed. */
export function usePreferences(): Preferences {
  return useSyncExternalStore(follow, preferences)
}

function follow(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function read(): Preferences {
  const scheme = load(STORED.scheme)
  const zone = load(STORED.zone) ?? INITIAL.zone
  const stored: Preferences = {
    scheme: scheme === "light" || scheme === "dark" ? scheme : "auto",
    zone: isZone(zone) ? zone : "",
    keys: load(STORED.keys) !== "false",
  }
  setZone(stored.zone || undefined)
  return stored
}

function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name || undefined })
    return true
  } catch {
    return false
  }
}

function load(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    // A browser that keeps nothing still obeys for this visit.
  }
}
