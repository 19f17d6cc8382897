/** The colours in force, for what is drawn on a canvas. */
import { useComputedColorScheme } from "@mantine/core"
import { TOKENS, type Tokens } from "./tokens"

export function useTokens(): Tokens {
  return TOKENS[useComputedColorScheme("light")]
}
