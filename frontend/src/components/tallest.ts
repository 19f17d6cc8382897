/** Browsers cut an element off, without a word, where it becomes too tall: Chromium at 33, Firefox at 18 million pixels. */
let known: number | undefined

/** How tall an element can be in this browser, px. */
export function tallest(): number {
  known ??= probe() || LEAST
  return known
}

const LEAST = 8_000_000

function probe(): number {
  const element = document.createElement("div")
  Object.assign(element.style, { position: "absolute", visibility: "hidden", width: "1px", height: "1e9px" })
  document.body.append(element)
  const { height } = element.getBoundingClientRect()
  element.remove()
  return height
}
