/** The words of the app: `say("devices.count", { n: 3 })`. */
import { en } from "./en"
import type { whatif } from "./whatif"

type Plural = { readonly one: string; readonly other: string }
type Leaf = string | Plural

/** Dotted paths to the texts of a catalogue; a key may itself hold a dot, as event types do. */
type Paths<T> = {
  [K in keyof T & string]: T[K] extends Leaf ? K : `${K}.${Paths<T[K]>}`
}[keyof T & string]

export type Phrase = Paths<typeof en> | `whatif.${Paths<typeof whatif>}`
export type Facts = Readonly<Record<string, string | number | null | undefined>>

let locale = "en"
let plurals = new Intl.PluralRules(locale)
const texts = new Map<string, Leaf>()
const english: object[] = [en]
let spoken: object = en

/** Put a catalogue in force; phrases it lacks stay in English. */
export function speak(language: string, catalogue: object): void {
  locale = language
  plurals = new Intl.PluralRules(language)
  spoken = catalogue
  for (const part of [...english, catalogue]) collect("", part)
}

/** Have English texts that come with the pages that say them. */
export function learn(part: object): void {
  english.push(part)
  speak(locale, spoken)
}

/** The language in force, for `Intl`. */
export function language(): string {
  return locale
}

/** The text of a phrase with its placeholders filled. `n` chooses the plural form; say how it reads as `shown`. */
export function say(phrase: Phrase, facts: Facts = {}): string {
  return fill(texts.get(phrase) ?? phrase, facts)
}

/** The text of a phrase whose last part is only known at run time; `otherwise` where there is none. */
export function sayOf(room: string, key: string, otherwise: string, facts: Facts = {}): string {
  const text = texts.get(`${room}.${key}`)
  return text === undefined ? otherwise : fill(text, facts)
}

function fill(text: Leaf, facts: Facts): string {
  const form = typeof text === "string" ? text : choose(text, facts.n)
  return form.replace(/\{(\w+)\}/g, (_, name: string) => {
    if (name === "n" && facts.shown !== undefined) return String(facts.shown)
    return String(facts[name] ?? "")
  })
}

function choose(forms: Plural, n: Facts[string]): string {
  return plurals.select(Number(n ?? 0)) === "one" ? forms.one : forms.other
}

function collect(path: string, branch: object): void {
  for (const [key, value] of Object.entries(branch)) {
    const here = path ? `${path}.${key}` : key
    if (typeof value === "string" || isPlural(value)) texts.set(here, value)
    else collect(here, value)
  }
}

function isPlural(value: object): value is Plural {
  return "other" in value && "one" in value
}

collect("", en)
