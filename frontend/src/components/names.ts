/** Names typed with commas; each counts once. */
export function names(typed: string): string[] {
  const found = typed
    .split(",")
    .map((each) => each.trim())
    .filter(Boolean)
  return [...new Set(found)]
}
