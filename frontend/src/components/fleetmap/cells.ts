/**
 * The fleet as one byte a device, and coarser levels of it in which the worst is kept.
 *
 * A site is a grid, filled row by row. On level 0 a cell is a device; each level above joins 2 × 2 cells of the one
 * below into the worst of them, so that nothing that needs a person is ever averaged away.
 */

/** What a byte says. */
export const CELL = {
  normal: 0,
  low: 1,
  medium: 2,
  high: 3,
  critical: 4,
  stale: 5,
  silent: 6,
  retired: 7,
} as const
/** No device here: the grid's last row is seldom full. */
export const EMPTY = 255

/** How bad a byte is, by its value. Of what has no alert, no data is worse than data. */
const RANK = new Int8Array(256).fill(-1)
for (const [rank, cell] of (
  ["retired", "normal", "stale", "silent", "low", "medium", "high", "critical"] as const
).entries())
  RANK[CELL[cell]] = rank

export interface Grid {
  readonly columns: number
  readonly rows: number
  /** Row by row. */
  readonly cells: Uint8Array
}

/** The bytes of a base64 text. */
export function decodeCells(base64: string): Uint8Array {
  const native = (Uint8Array as { fromBase64?: (text: string) => Uint8Array }).fromBase64
  if (native) return native(base64)
  const binary = atob(base64)
  const cells = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) cells[i] = binary.charCodeAt(i)
  return cells
}

/** The worse of two bytes. */
export function worse(a: number, b: number): number {
  return (RANK[b] as number) > (RANK[a] as number) ? b : a
}

/** All levels of a site, finest first, up to and including `top`. */
export function levels(cells: Uint8Array, columns: number, top: number): Grid[] {
  const rows = Math.max(1, Math.ceil(cells.length / columns))
  const full = new Uint8Array(columns * rows).fill(EMPTY)
  full.set(cells)
  const all: Grid[] = [{ columns, rows, cells: full }]
  while (all.length <= top) all.push(coarser(all[all.length - 1] as Grid))
  return all
}

function coarser({ columns, rows, cells }: Grid): Grid {
  const wide = Math.ceil(columns / 2)
  const high = Math.ceil(rows / 2)
  const joined = new Uint8Array(wide * high).fill(EMPTY)
  for (let row = 0; row < rows; row++) {
    const to = (row >> 1) * wide
    const from = row * columns
    for (let column = 0; column < columns; column++) {
      const cell = cells[from + column] as number
      const at = to + (column >> 1)
      if ((RANK[cell] as number) > (RANK[joined[at] as number] as number)) joined[at] = cell
    }
  }
  return { columns: wide, rows: high, cells: joined }
}

/** The devices below one cell of a level: how many, and the index of the first of the worst. */
export function below(finest: Grid, count: number, level: number, column: number, row: number) {
  const size = 1 << level
  let devices = 0
  let worst = -1
  let code = EMPTY
  for (let r = row * size; r < Math.min((row + 1) * size, finest.rows); r++) {
    for (let c = column * size; c < Math.min((column + 1) * size, finest.columns); c++) {
      const index = r * finest.columns + c
      if (index >= count) continue
      devices += 1
      const cell = finest.cells[index] as number
      if (worst < 0 || (RANK[cell] as number) > (RANK[code] as number)) {
        worst = index
        code = cell
      }
    }
  }
  return { devices, worst, code }
}

/** How often each byte occurs. */
export function tally(sites: readonly Uint8Array[]): Uint32Array {
  const counts = new Uint32Array(256)
  for (const cells of sites) for (let i = 0; i < cells.length; i++) (counts[cells[i] as number] as number)++
  return counts
}
