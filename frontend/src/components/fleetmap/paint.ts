/** The map's pixels: every visible cell is a sprite copied into one image, so that a million devices cost milliseconds. */

import type { Tokens } from "../tokens"
import { CELL, EMPTY, type Grid } from "./cells"
import { type Layout, scaleOf, type View } from "./layout"

/** A sprite per byte, each `size` × `size` pixels, packed as the image's own. */
export interface Sprites {
  readonly size: number
  readonly pixels: readonly Uint32Array[]
  readonly background: number
}

/** Fill `image` (width × height pixels) with the cells in view. */
export function paint(
  image: Uint32Array,
  width: number,
  height: number,
  layout: Layout,
  view: View,
  pyramids: readonly (readonly Grid[])[],
  sprites: Sprites,
): void {
  image.fill(sprites.background)
  const { level, cell, factor } = scaleOf(layout, view.zoom)
  for (const [i, block] of layout.blocks.entries()) {
    const grid = pyramids[i]?.[level]
    if (!grid) continue
    const left = block.x * factor - view.left
    const top = block.y * factor - view.top
    const firstColumn = Math.max(0, Math.floor(-left / cell))
    const lastColumn = Math.min(grid.columns, Math.ceil((width - left) / cell))
    const firstRow = Math.max(0, Math.floor(-top / cell))
    const lastRow = Math.min(grid.rows, Math.ceil((height - top) / cell))
    for (let row = firstRow; row < lastRow; row++) {
      for (let column = firstColumn; column < lastColumn; column++) {
        const code = grid.cells[row * grid.columns + column] as number
        if (code !== EMPTY) stamp(image, width, height, sprites, code, left + column * cell, top + row * cell)
      }
    }
  }
}

function stamp(
  image: Uint32Array,
  width: number,
  height: number,
  sprites: Sprites,
  code: number,
  x: number,
  y: number,
): void {
  const { size } = sprites
  const sprite = sprites.pixels[code]
  if (!sprite) return
  const from = Math.max(0, -x)
  const to = Math.min(size, width - x)
  if (to <= from) return
  for (let line = Math.max(0, -y); line < size && y + line < height; line++) {
    const start = (y + line) * width + x
    for (let i = from; i < to; i++) image[start + i] = sprite[line * size + i] as number
  }
}

/** Draw the sprites for a cell size: the same marks as everywhere, stale and silent as outlines. */
export function drawSprites(size: number, ratio: number, tokens: Tokens): Sprites {
  const canvas = document.createElement("canvas")
  canvas.width = canvas.height = size
  const pen = canvas.getContext("2d", { willReadFrequently: true })
  const gap = Math.max(1, Math.round(ratio))
  const room = size - gap
  const pixels = Object.values(CELL).map((code) => {
    if (!pen) return new Uint32Array(size * size)
    pen.fillStyle = tokens.surface
    pen.fillRect(0, 0, size, size)
    drawMark(pen, code, room, ratio, tokens)
    return new Uint32Array(pen.getImageData(0, 0, size, size).data.buffer)
  })
  return { size, pixels, background: packed(tokens.surface) }
}

function drawMark(
  pen: CanvasRenderingContext2D,
  code: number,
  room: number,
  ratio: number,
  tokens: Tokens,
): void {
  const line = Math.max(1, Math.round(ratio))
  const half = room / 2
  switch (code) {
    case CELL.normal:
      pen.fillStyle = tokens.normal
      pen.fillRect(0, 0, room, room)
      return
    case CELL.stale:
    case CELL.silent:
      pen.strokeStyle = code === CELL.stale ? tokens.stale : tokens.faint
      pen.lineWidth = line
      pen.strokeRect(line / 2, line / 2, room - line, room - line)
      return
    case CELL.retired:
      pen.fillStyle = tokens.faint
      pen.fillRect(Math.floor(half - line / 2), Math.floor(half - line / 2), line, line)
      return
    case CELL.critical:
      pen.fillStyle = tokens.critical
      pen.fillRect(0, 0, room, room)
      return
    case CELL.high:
      pen.fillStyle = tokens.high
      polygon(pen, [half, 0, room, room, 0, room])
      return
    case CELL.medium:
      pen.fillStyle = tokens.medium
      pen.beginPath()
      pen.arc(half, half, half, 0, 2 * Math.PI)
      pen.fill()
      return
    case CELL.low:
      pen.fillStyle = tokens.low
      polygon(pen, [half, 0, room, half, half, room, 0, half])
  }
}

function polygon(pen: CanvasRenderingContext2D, points: readonly number[]): void {
  pen.beginPath()
  for (let i = 0; i < points.length; i += 2) pen.lineTo(points[i] as number, points[i + 1] as number)
  pen.closePath()
  pen.fill()
}

/** A "#rrggbb" as the image's little-endian pixel. */
export function packed(colour: string): number {
  const value = Number.parseInt(colour.slice(1), 16)
  return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0
}
