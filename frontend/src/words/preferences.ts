/** What one reader chose: kept in this browser, and with their account once they have logged in (`app/useKeptSettings`). */
import { useSyncExternalStore } from "react"
import { setZone } from "./times"
import { setUnits, UNIT_SYSTEMS, type UnitSystem } from "./units"

export const SCHEMES = ["auto", "light", "dark"] as const
export const DENSITIES = ["comfortable", "compact"] as const

export interface Preferences {
  readonly scheme: (typeof SCHEMES)[number]
  readonly density: (typeof DENSITIES)[number]
  /** BCP 47 tag; empty: the browser's. */
  readonly language: string
  readonly units: UnitSystem
  /** IANA name; empty: this computer's. */
  readonly zone: string
  /** Single-key shortcuts. */
  readonly keys: boolean
  /** The priorities whose new alerts are heard. */
  readonly sounds: readonly string[]
  readonly muted: boolean
}

/** How each choice is read from what is stored, which may be missing or from another version. */
const READ: { readonly [K in keyof Preferences]: (text: string) => Preferences[K] } = {
  scheme: (text) => SCHEMES.find((each) => each === text) ?? "auto",
  density: (text) => DENSITIES.find((each) => each === text) ?? "comfortable",
  language: (text) => text,
  units: (text) => UNIT_SYSTEMS.find((each) => each === text) ?? "measured",
  zone: (text) => (isZone(text) ? text : ""),
  keys: (text) => text !== "false",
  sounds: (text) => text.split(",").filter(Boolean),
  muted: (text) => text === "true",
}

let chosen = read()
const listeners = new Set<() => void>()
const choosers = new Set<(changes: Partial<Preferences>) => void>()

/** The choices in force. */
export function preferences(): Preferences {
  return chosen
}

/** The reader changes some choices: here, for the next visit, and wherever `followChoices` takes them. */
export function prefer(changes: Partial<Preferences>): void {
  adopt(changes)
  for (const chooser of choosers) chooser(changes)
}

/** Put choices in force that were made elsewhere. */
export function adopt(changes: Partial<Preferences>): void {
  chosen = { ...chosen, ...changes }
  putInForce(chosen)
  for (const [key, value] of Object.entries(changes)) write(key, String(value))
  for (const listener of listeners) listener()
}

/** The choices in force, followed. */
export function usePreferences(): Preferences {
  return useSyncExternalStore(followPreferences, preferences)
}

/** Hear of every change, whoever made it; answers how to stop. */
export function followPreferences(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Hear of what the reader changes here; answers how to stop. */
export function followChoices(chooser: (changes: Partial<Preferences>) => void): () => void {
  choosers.add(chooser)
  return () => choosers.delete(chooser)
}

function read(): Preferences {
  const stored = Object.fromEntries(
    Object.entries(READ).map(([key, parse]) => [key, parse(load(key))]),
  ) as unknown as Preferences
  putInForce(stored)
  return stored
}

function putInForce({ zone, units }: Preferences): void {
  setZone(zone || undefined)
  setUnits(units)
}

function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name || undefined })
    return true
  } catch {
    return false
  }
}

function load(key: string): string {
  try {
    return localStorage.getItem(`twinfold.${key}`) ?? ""
  } catch {
    return ""
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(`twinfold.${key}`, value)
  } catch {
    // A browser that keeps nothing still obeys for this visit.
  }
}
