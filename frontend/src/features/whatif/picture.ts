/** Plots that are on the screen as one picture to keep: on the surface they stand on, under their titles. */
import type { Tokens } from "@/components/tokens"
import type { Look } from "./courses"

const FONT = "Inter Variable, Inter, system-ui, sans-serif"
const GAP = 16
const TITLE = 28
const CAPTION = 20
const FOOT = 24
const STROKE = 28
/** A picture is about as wide as a page, however many plots it has, and never so narrow that its title is cut off. */
const WIDEST = 1240
const NARROWEST = 640

export interface Captioned {
  readonly title: string
  readonly canvas: HTMLCanvasElement
}

export interface Picture {
  readonly title: string
  /** Where it comes from. */
  readonly foot: string
  readonly plots: readonly Captioned[]
  /** By which strokes arms are told apart; empty where each has a plot. */
  readonly legend: readonly (Look & { readonly title: string })[]
}

/** The plots in a part of the page, with their titles. */
export function plotsIn(element: HTMLElement): readonly Captioned[] {
  return [...element.querySelectorAll<HTMLElement>("figure[data-title]")].flatMap((figure) => {
    const canvas = figure.querySelector("canvas")
    return canvas ? [{ title: figure.dataset.title ?? "", canvas }] : []
  })
}

/** Let the browser keep a picture as PNG, as sharp as it is on the screen. */
export function savePicture(name: string, picture: Picture, tokens: Tokens): void {
  const ratio = window.devicePixelRatio || 1
  const canvas = document.createElement("canvas")
  draw(canvas, picture, tokens, ratio)
  canvas.toBlob((blob) => {
    if (!blob) return
    const address = URL.createObjectURL(blob)
    const link = document.createElement("a")
    link.href = address
    link.download = `${name}.png`
    link.click()
    URL.revokeObjectURL(address)
  })
}

function draw(
  canvas: HTMLCanvasElement,
  { title, foot, plots, legend }: Picture,
  { surface, ink, muted }: Tokens,
  ratio: number,
): void {
  const cellWide = Math.max(1, ...plots.map((plot) => plot.canvas.width / ratio)) + GAP
  const cellTall = Math.max(1, ...plots.map((plot) => plot.canvas.height / ratio)) + CAPTION + GAP
  const columns = Math.max(1, Math.min(plots.length, Math.floor(WIDEST / cellWide)))
  const wide = Math.max(NARROWEST, columns * cellWide + GAP)
  const head = GAP + TITLE + (legend.length > 0 ? CAPTION : 0)
  const body = Math.ceil(plots.length / columns) * cellTall
  canvas.width = Math.round(wide * ratio)
  canvas.height = Math.round((head + body + FOOT) * ratio)
  const pen = canvas.getContext("2d")
  if (!pen) return
  pen.scale(ratio, ratio)
  pen.textBaseline = "top"
  pen.fillStyle = surface
  pen.fillRect(0, 0, wide, head + body + FOOT)
  const write = (text: string, x: number, y: number, font: string, colour = ink) => {
    pen.font = `${font} ${FONT}`
    pen.fillStyle = colour
    pen.fillText(text, x, y, wide - x - GAP)
  }
  write(title, GAP, GAP, "600 15px")
  drawLegend(pen, legend, GAP + TITLE, write)
  for (const [i, plot] of plots.entries()) {
    const x = GAP + (i % columns) * cellWide
    const y = head + Math.floor(i / columns) * cellTall
    write(plot.title, x, y, "500 12px")
    pen.drawImage(plot.canvas, x, y + CAPTION, plot.canvas.width / ratio, plot.canvas.height / ratio)
  }
  write(foot, GAP, head + body, "11px", muted)
}

function drawLegend(
  pen: CanvasRenderingContext2D,
  legend: Picture["legend"],
  y: number,
  write: (text: string, x: number, y: number, font: string) => void,
): void {
  let x = GAP
  for (const { title, colour, dash } of legend) {
    pen.strokeStyle = colour
    pen.lineWidth = 2
    pen.setLineDash([...(dash ?? [])])
    pen.beginPath()
    pen.moveTo(x, y + 6)
    pen.lineTo(x + STROKE, y + 6)
    pen.stroke()
    write(title, x + STROKE + 6, y, "12px")
    x += STROKE + 6 + pen.measureText(title).width + GAP
  }
}
