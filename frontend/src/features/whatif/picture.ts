/** Plots that are on the screen as one picture to keep: on the surface they stand on, under their titles. */
import type { Tokens } from "@/components/tokens"

const FONT = "Inter Variable, Inter, system-ui, sans-serif"
const MARGIN = 16
const TITLE = 28
const CAPTION = 20
const FOOT = 24

export interface Captioned {
  readonly title: string
  readonly canvas: HTMLCanvasElement
}

/** The plots in a part of the page, with their titles. */
export function plotsIn(element: HTMLElement): readonly Captioned[] {
  return [...element.querySelectorAll<HTMLElement>("figure[data-title]")].flatMap((figure) => {
    const canvas = figure.querySelector("canvas")
    return canvas ? [{ title: figure.dataset.title ?? "", canvas }] : []
  })
}

/** Draw plots below each other and let the browser keep them as PNG. */
export function savePicture(
  name: string,
  title: string,
  foot: string,
  plots: readonly Captioned[],
  tokens: Tokens,
): void {
  const ratio = window.devicePixelRatio || 1
  const wide = Math.max(...plots.map(({ canvas }) => canvas.width)) / ratio + 2 * MARGIN
  const tall = plots.reduce(
    (sum, { canvas }) => sum + canvas.height / ratio + CAPTION + MARGIN,
    TITLE + MARGIN + FOOT,
  )
  const picture = document.createElement("canvas")
  picture.width = Math.round(wide * ratio)
  picture.height = Math.round(tall * ratio)
  const pen = picture.getContext("2d")
  if (!pen) return
  pen.scale(ratio, ratio)
  pen.fillStyle = tokens.surface
  pen.fillRect(0, 0, wide, tall)
  pen.textBaseline = "top"
  pen.fillStyle = tokens.ink
  pen.font = `600 15px ${FONT}`
  pen.fillText(title, MARGIN, MARGIN)
  let y = MARGIN + TITLE
  for (const { title: caption, canvas } of plots) {
    pen.fillStyle = tokens.ink
    pen.font = `500 12px ${FONT}`
    pen.fillText(caption, MARGIN, y)
    pen.drawImage(canvas, MARGIN, y + CAPTION, canvas.width / ratio, canvas.height / ratio)
    y += CAPTION + canvas.height / ratio + MARGIN
  }
  pen.fillStyle = tokens.muted
  pen.font = `11px ${FONT}`
  pen.fillText(foot, MARGIN, y)
  picture.toBlob((blob) => {
    if (!blob) return
    const address = URL.createObjectURL(blob)
    const link = document.createElement("a")
    link.href = address
    link.download = `${name}.png`
    link.click()
    URL.revokeObjectURL(address)
  })
}
