/** Which of the things that can be done fit what was typed, the nearest first. */

export interface Named {
  readonly label: string
  /** Other words by which it is looked for. */
  readonly words?: string
}

/** Those of which every typed word begins a word, in their order; those whose label begins with all of it come first. */
export function matching<T extends Named>(items: readonly T[], typed: string): T[] {
  const wanted = wordsOf(typed)
  if (wanted.length === 0) return [...items]
  const whole = typed.trim().toLowerCase()
  const fit = items.filter(({ label, words = "" }) => {
    const known = wordsOf(`${label} ${words}`)
    return wanted.every((word) => known.some((each) => each.startsWith(word)))
  })
  const leads = ({ label }: T) => label.toLowerCase().startsWith(whole)
  return [...fit.filter(leads), ...fit.filter((item) => !leads(item))]
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
}
