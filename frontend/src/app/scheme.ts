/** The theme's place among the reader's preferences, in the form that Mantine asks for. */
import type { MantineColorSchemeManager } from "@mantine/core"
import { prefer, preferences } from "@/words/preferences"

export const schemeManager: MantineColorSchemeManager = {
  get: () => preferences().scheme,
  set: (scheme) => prefer({ scheme }),
  subscribe: () => undefined,
  unsubscribe: () => undefined,
  clear: () => prefer({ scheme: "auto" }),
}
