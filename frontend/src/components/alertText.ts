/** An alert in a few words: what it is, and the value that raised it. */
import type { AlertItem } from "@/api/schema"
import { quantity } from "@/words/figures"

export function alertText({ title, rule, value, unit }: AlertItem): string {
  const name = title || rule
  return value === null ? name : `${name}: ${quantity(value, unit, 3)}`
}
