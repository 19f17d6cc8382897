/**
 * The whole fleet on one canvas: a cell a device, or the worst of as many as share it. Zoom with the buttons, + and −,
 * Ctrl and wheel, a double click or two fingers; move by dragging or with the arrow keys.
 */
import {
  type ComponentType,
  type KeyboardEvent,
  type PointerEvent,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react"
import type { FleetMap as FleetCells } from "@/api/schema"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import type { Tokens } from "../tokens"
import { useSize } from "../useSize"
import { useTokens } from "../useTokens"
import { below, decodeCells, type Grid, levels } from "./cells"
import css from "./FleetMap.module.css"
import {
  cellAt,
  deepest,
  kept,
  LABEL_PX,
  type Layout,
  layOut,
  placeOf,
  scaleOf,
  type Target,
  type View,
  WHOLE,
  zoomed,
} from "./layout"
import { drawSprites, paint } from "./paint"

export interface Pointed {
  readonly site: string
  /** Devices below the cell. */
  readonly devices: number
  /** The worst of them, by its index in the site. */
  readonly index: number
  readonly code: number
}

interface Props {
  readonly fleet: FleetCells
  /** What the map shows, in words, for those who do not see it. */
  readonly summary: string
  readonly onOpen: (pointed: Pointed) => void
  /** Tells of the cell pointed at. */
  readonly Tip: ComponentType<{ readonly pointed: Pointed }>
  /** Told how many devices share a cell. */
  readonly onScale?: (devicesPerCell: number) => void
}

export function FleetMap({ fleet, summary, onOpen, Tip, onScale }: Props) {
  const frameRef = useRef<HTMLDivElement>(null)
  const canvasRef = useRef<HTMLCanvasElement>(null)
  const size = useSize(frameRef)
  const tokens = useTokens()
  const ratio = window.devicePixelRatio || 1
  const [view, setView] = useState<View>(WHOLE)
  const [target, setTarget] = useState<Target | null>(null)
  const hands = useRef(new Map<number, { x: number; y: number }>())
  const dragged = useRef(false)
  const spread = useRef(0)

  const width = Math.round(size.width * ratio)
  const height = Math.round(size.height * ratio)
  const counts = fleet.sites.map(({ site, count: devices }) => `${site}\n${devices}`).join("\n")
  const layout = useMemo(() => {
    const parts = counts.split("\n")
    const sites = Array.from({ length: Math.floor(parts.length / 2) }, (_, i) => ({
      site: parts[2 * i] ?? "",
      count: Number(parts[2 * i + 1]),
    }))
    return layOut(sites, { width, height, ratio })
  }, [counts, width, height, ratio])
  const pyramids = useMemo(() => {
    const bySite = new Map(fleet.sites.map(({ site, cells }) => [site, cells]))
    return layout.blocks.map(({ site, columns }) =>
      levels(decodeCells(bySite.get(site) ?? ""), columns, layout.level),
    )
  }, [fleet, layout])
  const scale = scaleOf(layout, view.zoom)
  const sprites = useMemo(() => drawSprites(scale.cell, ratio, tokens), [scale.cell, ratio, tokens])

  const perCell = 4 ** scale.level
  useEffect(() => onScale?.(perCell), [onScale, perCell])
  useEffect(() => setView((before) => kept(layout, before)), [layout])

  useEffect(() => {
    const canvas = canvasRef.current
    const pen = canvas?.getContext("2d")
    if (!canvas || !pen || width === 0 || height === 0) return
    const frame = requestAnimationFrame(() => {
      if (canvas.width !== width) canvas.width = width
      if (canvas.height !== height) canvas.height = height
      const image = pen.createImageData(width, height)
      paint(new Uint32Array(image.data.buffer), width, height, layout, view, pyramids, sprites)
      pen.putImageData(image, 0, 0)
      writeNames(pen, layout, view, ratio, tokens)
    })
    return () => cancelAnimationFrame(frame)
  }, [layout, view, pyramids, sprites, width, height, ratio, tokens])

  const pointed = target ? lookUp(layout.blocks, pyramids, scale.level, target) : null
  const place = target ? placeOf(layout, view, target) : null

  const zoomBy = (by: number, x = width / 2, y = height / 2) => {
    setTarget(null)
    setView((before) => zoomed(layout, before, by, x, y, ratio))
  }

  // React listens to wheels passively; zooming must keep the page from zooming too.
  useEffect(() => {
    const canvas = canvasRef.current
    if (!canvas) return
    let turned = 0
    const turn = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return
      event.preventDefault()
      turned += event.deltaY
      if (Math.abs(turned) < 40) return
      const by = turned < 0 ? 1 : -1
      turned = 0
      setTarget(null)
      setView((before) => zoomed(layout, before, by, event.offsetX * ratio, event.offsetY * ratio, ratio))
    }
    canvas.addEventListener("wheel", turn, { passive: false })
    return () => canvas.removeEventListener("wheel", turn)
  }, [layout, ratio])

  const press = (event: PointerEvent<HTMLCanvasElement>) => {
    hands.current.set(event.pointerId, { x: event.clientX, y: event.clientY })
    dragged.current = false
    spread.current = distance([...hands.current.values()])
  }

  const move = (event: PointerEvent<HTMLCanvasElement>) => {
    const hand = hands.current.get(event.pointerId)
    const x = event.nativeEvent.offsetX * ratio
    const y = event.nativeEvent.offsetY * ratio
    if (!hand) {
      setTarget(cellAt(layout, view, x, y))
      return
    }
    const dx = event.clientX - hand.x
    const dy = event.clientY - hand.y
    if (!dragged.current && Math.hypot(dx, dy) < 4) return
    dragged.current = true
    if (!event.currentTarget.hasPointerCapture(event.pointerId))
      event.currentTarget.setPointerCapture(event.pointerId)
    hands.current.set(event.pointerId, { x: event.clientX, y: event.clientY })
    setTarget(null)
    if (hands.current.size === 2) pinch(x, y)
    else
      setView((before) =>
        kept(layout, { ...before, left: before.left - dx * ratio, top: before.top - dy * ratio }),
      )
  }

  const pinch = (x: number, y: number) => {
    const apart = distance([...hands.current.values()])
    const by = apart > spread.current * 1.6 ? 1 : apart < spread.current / 1.6 ? -1 : 0
    if (by === 0) return
    spread.current = apart
    zoomBy(by, x, y)
  }

  const release = (event: PointerEvent<HTMLCanvasElement>) => {
    hands.current.delete(event.pointerId)
  }

  const act = (at: Target, x: number, y: number) => {
    const cell = lookUp(layout.blocks, pyramids, scale.level, at)
    if (!cell) return
    if (cell.devices === 1) onOpen(cell)
    else zoomBy(1, x, y)
  }

  const steer = (event: KeyboardEvent) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]
    if (step) {
      event.preventDefault()
      const next = walk(pyramids, scale.level, target, step[0] ?? 0, step[1] ?? 0)
      if (!next) return
      const to = placeOf(layout, view, next)
      setTarget(next)
      setView((before) => kept(layout, follow(before, to, width, height)))
    } else if (event.key === "Enter" && target && place) {
      event.preventDefault()
      act(target, place.x, place.y)
    } else if (event.key === "+" || event.key === "=") zoomBy(1, place?.x, place?.y)
    else if (event.key === "-") zoomBy(-1, place?.x, place?.y)
    else if (event.key === "0") setView(WHOLE)
    else if (event.key === "Escape") setTarget(null)
  }

  const total = fleet.sites.reduce((sum, site) => sum + site.count, 0)
  return (
    <div className={css.frame} ref={frameRef}>
      <div
        className={css.keys}
        role="application"
        aria-label={say("map.label", { devices: count(total), sites: fleet.sites.length, summary })}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
        tabIndex={0}
        onKeyDown={steer}
      >
        <canvas
          ref={canvasRef}
          className={css.canvas}
          data-zoomed={view.zoom > 0}
          onPointerDown={press}
          onPointerMove={move}
          onPointerUp={release}
          onPointerCancel={release}
          onPointerLeave={() => setTarget(null)}
          onClick={({ nativeEvent: { offsetX, offsetY } }) => {
            const at = cellAt(layout, view, offsetX * ratio, offsetY * ratio)
            if (at && !dragged.current) act(at, offsetX * ratio, offsetY * ratio)
          }}
        />
      </div>
      {place && pointed ? (
        <>
          <div
            className={css.cursor}
            style={{
              transform: `translate(${place.x / ratio}px, ${place.y / ratio}px)`,
              width: place.size / ratio - 1,
              height: place.size / ratio - 1,
            }}
          />
          <div
            className={css.tip}
            role="tooltip"
            style={{
              left: place.x / ratio > size.width / 2 ? undefined : (place.x + place.size) / ratio + 6,
              right: place.x / ratio > size.width / 2 ? size.width - place.x / ratio + 6 : undefined,
              top: Math.min(place.y / ratio, Math.max(0, size.height - 96)),
            }}
          >
            <Tip pointed={pointed} />
          </div>
        </>
      ) : null}
      <div className={css.tools}>
        <button
          type="button"
          onClick={() => zoomBy(1)}
          disabled={view.zoom >= deepest(layout, ratio)}
          aria-label={say("map.zoomIn")}
        >
          +
        </button>
        <button
          type="button"
          onClick={() => zoomBy(-1)}
          disabled={view.zoom === 0}
          aria-label={say("map.zoomOut")}
        >
          −
        </button>
        {view.zoom > 0 ? (
          <button type="button" className={css.whole} onClick={() => setView(WHOLE)}>
            {say("map.fit")}
          </button>
        ) : null}
      </div>
    </div>
  )
}

type Blocks = ReturnType<typeof layOut>["blocks"]

function lookUp(
  blocks: Blocks,
  pyramids: readonly Grid[][],
  level: number,
  { block, column, row }: Target,
): Pointed | null {
  const site = blocks[block]
  const finest = pyramids[block]?.[0]
  if (!site || !finest) return null
  const { devices, worst, code } = below(finest, site.count, level, column, row)
  return devices > 0 ? { site: site.site, devices, index: worst, code } : null
}

/** The cell beside `from`, going on in the next site at a site's edge. */
function walk(
  pyramids: readonly Grid[][],
  level: number,
  from: Target | null,
  dx: number,
  dy: number,
): Target | null {
  if (!from) return pyramids.length > 0 ? { block: 0, column: 0, row: 0 } : null
  const grid = pyramids[from.block]?.[level]
  if (!grid) return null
  const column = from.column + dx
  const row = Math.min(grid.rows - 1, Math.max(0, from.row + dy))
  if (column >= 0 && column < grid.columns) return { ...from, column, row }
  const beside = pyramids[from.block + dx]?.[level]
  if (!beside) return from
  return {
    block: from.block + dx,
    column: dx > 0 ? 0 : beside.columns - 1,
    row: Math.min(row, beside.rows - 1),
  }
}

/** The view moved so far that a place is inside it. */
function follow(
  view: View,
  { x, y, size }: { x: number; y: number; size: number },
  width: number,
  height: number,
): View {
  const shift = (at: number, room: number) => (at < 0 ? at : at + size > room ? at + size - room : 0)
  return { ...view, left: view.left + shift(x, width), top: view.top + shift(y, height) }
}

function distance(hands: readonly { x: number; y: number }[]): number {
  const [a, b] = hands
  return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0
}

/** Names of sites stay in view for as long as any of their cells do. */
function writeNames(
  pen: CanvasRenderingContext2D,
  layout: Layout,
  view: View,
  ratio: number,
  { muted, surface }: Tokens,
): void {
  const { factor, level, cell } = scaleOf(layout, view.zoom)
  const height = LABEL_PX * ratio
  pen.font = `${Math.round(12 * ratio)}px "Inter Variable", Inter, system-ui, sans-serif`
  pen.textBaseline = "middle"
  for (const { site, x, y, width, columns, count: devices } of layout.blocks) {
    const left = x * factor - view.left
    const bottom = y * factor - view.top + Math.ceil(Math.ceil(devices / columns) / 2 ** level) * cell
    const top = Math.max(0, y * factor - view.top - height)
    const from = Math.max(0, left)
    if (bottom < top + height || from > left + width * factor) continue
    const text = clipped(pen, site, left + width * factor - from)
    if (top > y * factor - view.top - height) {
      pen.fillStyle = surface
      pen.fillRect(from, top, pen.measureText(text).width + 6 * ratio, height)
    }
    pen.fillStyle = muted
    pen.fillText(text, from, top + height / 2)
  }
}

function clipped(pen: CanvasRenderingContext2D, text: string, width: number): string {
  if (pen.measureText(text).width <= width) return text
  let end = text.length - 1
  while (end > 1 && pen.measureText(`${text.slice(0, end)}…`).width > width) end--
  return `${text.slice(0, end)}…`
}
