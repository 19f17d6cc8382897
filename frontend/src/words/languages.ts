/** The languages of the app: which there are, and putting one in force. Only English is there from the start. */
import { en } from "./en"
import { speak } from "./say"

export const LANGUAGES = { en: "English", nb: "Norsk bokmål" } as const
export type Language = keyof typeof LANGUAGES

const CATALOGUES: Readonly<Record<Language, () => Promise<object>>> = {
  en: async () => en,
  nb: async () => (await import("./nb")).nb,
}
/** What browsers also call a language that is near enough to be understood. */
const NEAR: Readonly<Record<string, Language>> = { no: "nb", nn: "nb" }

let wanted = 0

/** The language that a choice means: its own, or for none the first that the browser asks for and the app has. */
export function languageOf(chosen: string, asked: readonly string[] = navigator.languages): Language {
  for (const tag of chosen ? [chosen] : asked) {
    const name = tag.toLowerCase().split("-")[0] ?? ""
    if (name in LANGUAGES) return name as Language
    const near = NEAR[name]
    if (near) return near
  }
  return "en"
}

/**
 * Put the language of a choice in force once its texts are there; answers whether it is, which it is not where another one
 * was asked for meanwhile. Raises where the texts cannot be loaded; what was spoken before stays.
 */
export async function speakAs(chosen: string): Promise<boolean> {
  wanted += 1
  const mine = wanted
  const language = languageOf(chosen)
  const catalogue = await CATALOGUES[language]()
  if (mine !== wanted) return false
  speak(language, catalogue)
  document.documentElement.lang = language
  return true
}
