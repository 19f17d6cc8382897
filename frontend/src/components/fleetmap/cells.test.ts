import { expect, test } from "vitest"
import { below, CELL, decodeCells, EMPTY, levels, tally, worse } from "./cells"
import { cellAt, deepest, type Layout, layOut, placeOf, scaleOf, WHOLE, zoomed } from "./layout"
import { paint, type Sprites } from "./paint"

/** Numbers that look like chance and are the same on every run. */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

const ORDER = [
  CELL.retired,
  CELL.normal,
  CELL.stale,
  CELL.silent,
  CELL.low,
  CELL.medium,
  CELL.high,
  CELL.critical,
]

test("decodes base64 to bytes", () => {
  expect([...decodeCells(btoa(String.fromCharCode(0, 4, 255)))]).toEqual([0, 4, 255])
})

test("an alert outranks silence, silence outranks staleness, and any of them the normal", () => {
  for (let i = 1; i < ORDER.length; i++) {
    expect(worse(ORDER[i - 1] as number, ORDER[i] as number)).toBe(ORDER[i])
    expect(worse(ORDER[i] as number, ORDER[i - 1] as number)).toBe(ORDER[i])
  }
})

test("no level ever hides the worst device below a cell", () => {
  const random = chance(7)
  for (const count of [1, 7, 64, 1000, 4099]) {
    const cells = Uint8Array.from({ length: count }, () => Math.floor(random() ** 4 * 8))
    const columns = 1 + Math.floor(random() * 90)
    const pyramid = levels(cells, columns, 5)
    for (const [level, grid] of pyramid.entries()) {
      for (let row = 0; row < grid.rows; row++) {
        for (let column = 0; column < grid.columns; column++) {
          // The slow, obvious way: look at every device whose place is inside the cell.
          let expected: number = EMPTY
          for (let i = 0; i < count; i++) {
            if (Math.floor(i / columns) >> level === row && (i % columns) >> level === column)
              expected = expected === EMPTY ? (cells[i] as number) : worse(expected, cells[i] as number)
          }
          if (level > 2 || count < 200) expect(grid.cells[row * grid.columns + column]).toBe(expected)
        }
      }
    }
  }
})

test("tells how many devices a cell stands for, and which is the worst", () => {
  const cells = new Uint8Array(10)
  cells[7] = CELL.high
  const [finest] = levels(cells, 4, 2)
  if (!finest) throw new Error("no level")
  expect(below(finest, 10, 0, 3, 1)).toEqual({ devices: 1, worst: 7, code: CELL.high })
  expect(below(finest, 10, 2, 0, 0)).toEqual({ devices: 10, worst: 7, code: CELL.high })
})

test("counts bytes over all sites", () => {
  const counts = tally([Uint8Array.of(0, 4), Uint8Array.of(4)])
  expect([counts[0], counts[4]]).toEqual([1, 2])
})

const FRAME = { width: 700, height: 300, ratio: 1 }
const FLEETS = [
  [{ site: "oslo", count: 1 }],
  [
    { site: "oslo", count: 4000 },
    { site: "cork", count: 30 },
  ],
  Array.from({ length: 5 }, (_, i) => ({ site: `site ${i}`, count: 200_000 })),
  Array.from({ length: 60 }, (_, i) => ({ site: `site ${i}`, count: 100 + i })),
]

test.each(FLEETS.map((sites) => [sites.reduce((sum, { count }) => sum + count, 0), sites] as const))(
  "a fleet of %i fits the frame whole, each device in a cell of its own site",
  (_, sites) => {
    const layout = layOut(sites, FRAME)
    expect(layout.blocks.map(({ site }) => site)).toEqual(sites.map(({ site }) => site))
    const size = 2 ** layout.level
    for (const { x, y, columns, count } of layout.blocks) {
      const rows = Math.ceil(count / columns)
      expect(x + (columns / size) * layout.cell).toBeLessThanOrEqual(FRAME.width)
      expect(y + Math.ceil(rows / size) * layout.cell).toBeLessThanOrEqual(FRAME.height)
    }
    for (const [i, a] of layout.blocks.entries())
      for (const b of layout.blocks.slice(i + 1))
        if (a.y === b.y) expect(b.x).toBeGreaterThanOrEqual(a.x + a.width)
  },
)

test("zooming keeps the point under the hand, and ends with a device a cell", () => {
  const layout = layOut(FLEETS[2] ?? [], FRAME)
  let view = WHOLE
  const target = cellAt(layout, view, 300, 150)
  expect(target).not.toBeNull()
  for (let i = 0; i < 20; i++) view = zoomed(layout, view, 1, 300, 150, 1)
  expect(view.zoom).toBe(deepest(layout, 1))
  expect(scaleOf(layout, view.zoom).level).toBe(0)
  const after = cellAt(layout, view, 300, 150)
  expect(after?.block).toBe(target?.block)
  if (!after) throw new Error("no cell")
  const { x, y, size } = placeOf(layout, view, after)
  expect(x <= 300 && 300 < x + size && y <= 150 && 150 < y + size).toBe(true)
})

test("paints a million devices, and one critical among them is on the picture", () => {
  const sites = [{ site: "all", count: 1_000_000 }]
  const layout: Layout = layOut(sites, FRAME)
  const cells = new Uint8Array(1_000_000)
  cells[777_777] = CELL.critical
  const pyramid = levels(cells, layout.blocks[0]?.columns ?? 1, layout.level)
  const sprites: Sprites = {
    size: layout.cell,
    pixels: Object.values(CELL).map((code) => new Uint32Array(layout.cell ** 2).fill(code + 1)),
    background: 99,
  }
  const image = new Uint32Array(FRAME.width * FRAME.height)
  paint(image, FRAME.width, FRAME.height, layout, WHOLE, [pyramid], sprites)
  expect(image.filter((pixel) => pixel === CELL.critical + 1)).toHaveLength(layout.cell ** 2)
  expect(image.some((pixel) => pixel === CELL.normal + 1)).toBe(true)
})
