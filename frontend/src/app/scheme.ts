/** The theme's place among the reader's preferences, in the form that Mantine asks for. */
import type { MantineColorScheme, MantineColorSchemeManager } from "@mantine/core"
import { followPreferences, prefer, preferences } from "@/words/preferences"

let stop: (() => void) | undefined

export const schemeManager: MantineColorSchemeManager = {
  get: () => preferences().scheme,
  set: choose,
  subscribe: (onUpdate) => {
    let before = preferences().scheme
    stop = followPreferences(() => {
      const { scheme } = preferences()
      if (scheme === before) return
      before = scheme
      onUpdate(scheme)
    })
  },
  unsubscribe: () => stop?.(),
  clear: () => choose("auto"),
}

/** Mantine also says what it was just told. */
function choose(scheme: MantineColorScheme): void {
  if (scheme !== preferences().scheme) prefer({ scheme })
}
