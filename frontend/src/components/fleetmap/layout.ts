/**
 * Where the sites of a fleet lie on the map, and how many devices share a cell so that all fit.
 *
 * Sites stand side by side on one or more shelves, as wide as their share of the fleet. All sizes are device pixels, so
 * that cells are crisp on every screen. Zooming doubles: the cell keeps its size and shows a finer level, until a cell is
 * one device; then cells grow.
 */

export interface Block {
  readonly site: string
  readonly count: number
  /** Devices in a row of the site's grid, on level 0. */
  readonly columns: number
  /** Top left of the site's cells, with the whole fleet in view. */
  readonly x: number
  readonly y: number
  /** Space for the site's name. */
  readonly width: number
}

export interface Layout {
  readonly blocks: readonly Block[]
  /** The level that shows the whole fleet. */
  readonly level: number
  /** Pixels from one cell to the next on that level. */
  readonly cell: number
  readonly width: number
  readonly height: number
}

export interface Frame {
  readonly width: number
  readonly height: number
  /** Device pixels a CSS pixel. */
  readonly ratio: number
}

export const LABEL_PX = 20
const GAP_PX = 14
const LEAST_WIDTH_PX = 52
const LARGEST_CELL_PX = 24
const LEAST_CELL_PX = 6
const MOST_SHELVES = 12

/** Lay `sites` out in a frame of device pixels: the largest cells, and then the fewest shelves, that fit. */
export function layOut(sites: readonly { site: string; count: number }[], frame: Frame): Layout {
  const present = sites.filter(({ count }) => count > 0)
  const step = Math.max(1, Math.round(frame.ratio))
  const least = Math.round(LEAST_CELL_PX * frame.ratio)
  for (let cell = Math.round(LARGEST_CELL_PX * frame.ratio); cell > least; cell -= step) {
    const blocks = arrange(present, frame, 0, cell)
    if (blocks) return { blocks, level: 0, cell, ...extent(frame) }
  }
  for (let level = 0; level < 16; level++) {
    // Between two levels the cell grows, so that the frame is filled.
    for (let cell = level === 0 ? least : 2 * least - step; cell >= least; cell -= step) {
      const blocks = arrange(present, frame, level, cell)
      if (blocks) return { blocks, level, cell, ...extent(frame) }
    }
  }
  return { blocks: [], level: 0, cell: least, ...extent(frame) }
}

function extent({ width, height }: Frame) {
  return { width, height }
}

function arrange(
  sites: readonly { site: string; count: number }[],
  frame: Frame,
  level: number,
  cell: number,
): Block[] | null {
  for (let shelves = 1; shelves <= MOST_SHELVES; shelves++) {
    const shelfHeight = Math.floor(frame.height / shelves)
    const rows = Math.floor((shelfHeight - LABEL_PX * frame.ratio) / cell)
    if (rows < 3) return null
    const blocks = stack(sites, frame, level, cell, rows, shelves, shelfHeight)
    if (blocks) return blocks
  }
  return null
}

/** Put the sites on the shelves in their order; null where they do not fit. */
function stack(
  sites: readonly { site: string; count: number }[],
  frame: Frame,
  level: number,
  cell: number,
  rows: number,
  shelves: number,
  shelfHeight: number,
): Block[] | null {
  const size = 1 << level
  const gap = Math.round(GAP_PX * frame.ratio)
  const label = Math.round(LABEL_PX * frame.ratio)
  const blocks: Block[] = []
  let shelf = 0
  let x = 0
  for (const { site, count } of sites) {
    // A coarse cell holds `size` rows of `size` devices: enough columns that all rows hold the site.
    const columns = Math.max(1, Math.ceil(count / (rows * size) / size)) * size
    const width = Math.max((columns / size) * cell, Math.round(LEAST_WIDTH_PX * frame.ratio))
    if (x > 0 && x + width > frame.width) {
      shelf += 1
      x = 0
    }
    if (shelf >= shelves || width > frame.width) return null
    blocks.push({ site, count, columns, x, y: shelf * shelfHeight + label, width })
    x += width + gap
  }
  return blocks
}

export interface View {
  /** Doublings beyond the whole fleet: 0 shows all. */
  readonly zoom: number
  /** The content's pixel at the frame's top left. */
  readonly left: number
  readonly top: number
}

export const WHOLE: View = { zoom: 0, left: 0, top: 0 }
const LARGEST_ZOOMED_PX = 40

/** The level and cell size that a zoom shows. */
export function scaleOf(layout: Layout, zoom: number): { level: number; cell: number; factor: number } {
  const level = Math.max(0, layout.level - zoom)
  return { level, cell: layout.cell * 2 ** Math.max(0, zoom - layout.level), factor: 2 ** zoom }
}

/** How far in one can zoom. */
export function deepest(layout: Layout, ratio: number): number {
  const growth = Math.floor(Math.log2((LARGEST_ZOOMED_PX * ratio) / layout.cell))
  return layout.level + Math.max(0, growth)
}

/** Zoom by whole doublings about a point of the frame, which stays where it is. */
export function zoomed(layout: Layout, view: View, by: number, x: number, y: number, ratio: number): View {
  const zoom = Math.min(deepest(layout, ratio), Math.max(0, view.zoom + by))
  const factor = 2 ** (zoom - view.zoom)
  return kept(layout, { zoom, left: (view.left + x) * factor - x, top: (view.top + y) * factor - y })
}

/** The view moved back over the content, in whole pixels. */
export function kept(layout: Layout, view: View): View {
  const factor = 2 ** view.zoom
  const keep = (at: number, room: number) =>
    Math.round(Math.min(Math.max(0, at), Math.max(0, room * (factor - 1))))
  return { zoom: view.zoom, left: keep(view.left, layout.width), top: keep(view.top, layout.height) }
}

export interface Target {
  readonly block: number
  readonly column: number
  readonly row: number
}

/** The cell under a point of the frame; null between cells. */
export function cellAt(layout: Layout, view: View, x: number, y: number): Target | null {
  const { level, cell, factor } = scaleOf(layout, view.zoom)
  for (const [block, { x: left, y: top, columns, count }] of layout.blocks.entries()) {
    const column = Math.floor((view.left + x - left * factor) / cell)
    const row = Math.floor((view.top + y - top * factor) / cell)
    const wide = Math.ceil(columns / 2 ** level)
    const high = Math.ceil(Math.ceil(count / columns) / 2 ** level)
    if (column >= 0 && column < wide && row >= 0 && row < high) return { block, column, row }
  }
  return null
}

/** Where a cell lies in the frame. */
export function placeOf(layout: Layout, view: View, target: Target): { x: number; y: number; size: number } {
  const { cell, factor } = scaleOf(layout, view.zoom)
  const block = layout.blocks[target.block]
  return {
    x: (block?.x ?? 0) * factor + target.column * cell - view.left,
    y: (block?.y ?? 0) * factor + target.row * cell - view.top,
    size: cell,
  }
}
