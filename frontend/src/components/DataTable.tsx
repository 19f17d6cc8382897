/**
 * A dense table of which only the rows in view exist. It knows how many rows there are in all and says which it shows, so
 * that they are read in time, and never moves a row under the reader's hand. On a narrow screen a row folds into two lines.
 */
import { type ColumnDef, columnVisibilityFeature, tableFeatures, useTable } from "@tanstack/react-table"
import { useVirtualizer } from "@tanstack/react-virtual"
import { type KeyboardEvent, type ReactNode, useEffect, useMemo, useRef } from "react"
import { usePreferences } from "@/words/preferences"
import { say } from "@/words/say"
import { DataRow } from "./DataRow"
import css from "./DataTable.module.css"
import { tallest } from "./tallest"
import { useIsNarrow } from "./useIsNarrow"
import { useKeys } from "./useKeys"
import { useStable } from "./useStable"

export interface Column<Row> {
  readonly id: string
  readonly title: string
  /** Least width in pixels. */
  readonly width: number
  /** Its share of the width that is left over; 0 keeps it as narrow as it is. */
  readonly grow?: number
  readonly align?: "right"
  /** The server's name for sorting by this column. */
  readonly sort?: string
  /** What the first click sorts by. */
  readonly first?: "up" | "down"
  /** Which line of the two a narrow screen shows it in; left out there if undefined. */
  readonly narrow?: "mark" | "main" | "side" | "more" | "end"
  /** Whether its title stands before it there, as a bare figure needs it. */
  readonly named?: boolean
  readonly cell: (row: Row, isSelected: boolean) => ReactNode
}

/** Rows by their place; undefined where one has not been read yet. An array is one. */
export interface Rows<Row> {
  readonly length: number
  readonly at: (index: number) => Row | undefined
}

interface Props<Row> {
  readonly label: string
  /** Rows are drawn again when these are others. */
  readonly columns: readonly Column<Row>[]
  /** What stands above a column instead of its title, by its id. */
  readonly headers?: Readonly<Record<string, ReactNode>>
  readonly hidden?: ReadonlySet<string>
  readonly rows: Rows<Row>
  readonly rowId: (row: Row) => string
  /** How many rows there are, also beyond those in `rows`. */
  readonly total: number
  readonly sort?: string
  readonly onSort?: (sort: string) => void
  /** Called where more rows are wanted behind the last of `rows`. */
  readonly onNearEnd?: () => void
  /** Told the places of the first and the last row in view. */
  readonly onRange?: (first: number, last: number) => void
  /** A place to begin at; each new object is gone to. */
  readonly goTo?: { readonly index: number } | null
  readonly onOpen?: (row: Row) => void
  readonly current?: string | null
  readonly onCurrent?: (row: Row) => void
  readonly selected?: { readonly has: (id: string) => boolean }
  readonly onSelect?: (row: Row) => void
  /** Rows that need attention are written in ink, the others muted. */
  readonly isStrong?: (row: Row) => boolean
  /** Shown below a row that is opened. */
  readonly detail?: (row: Row) => ReactNode
  /** Instead of what the reader's density says, for rows of several lines. */
  readonly rowHeight?: number
  readonly empty: ReactNode
}

const features = tableFeatures({ columnVisibilityFeature })
const ROW_HEIGHT = { comfortable: 32, compact: 26 } as const
const NARROW_HEIGHT = 57
const NEAR = 20
const GAP = 16
const PADDING = 14
const LINE = 1

export function DataTable<Row>(props: Props<Row>) {
  const { label, columns, rows, rowId, total, hidden, onNearEnd, onRange, goTo, current } = props
  const { density } = usePreferences()
  const isNarrow = useIsNarrow()
  const rowHeight = isNarrow ? NARROW_HEIGHT : (props.rowHeight ?? ROW_HEIGHT[density])
  const scroll = useRef<HTMLDivElement>(null)
  const definitions = useMemo(
    () => columns.map(({ id }): ColumnDef<typeof features, object> => ({ id })),
    [columns],
  )
  const visibility = useMemo(() => Object.fromEntries([...(hidden ?? [])].map((id) => [id, false])), [hidden])
  const table = useTable({
    features,
    columns: definitions,
    data: NO_DATA,
    state: { columnVisibility: visibility },
  })
  const byId = useMemo(() => new Map(columns.map((column) => [column.id, column])), [columns])
  const visible = table.getVisibleLeafColumns()
  const shown = useMemo(() => visible.flatMap(({ id }) => byId.get(id) ?? []), [visible, byId])
  const tracks = shown
    .map(({ width, grow = 0 }) => (grow > 0 ? `minmax(${width}px, ${grow}fr)` : `${width}px`))
    .join(" ")
  const least = shown.reduce((sum, { width }) => sum + width + GAP, 2 * PADDING - GAP)

  // A list that is read in pieces may hold a row twice for a moment, and holds places that nothing is known of.
  const list = Array.isArray(rows) ? (rows as readonly Row[]) : null
  // All places are measured again whenever this is another function.
  const keyOf = useMemo(() => (list ? (i: number) => rowId(list[i] as Row) : placeOf), [list, rowId])
  const shownRows = Math.min(rows.length, Math.floor(tallest() / rowHeight))
  const virtual = useVirtualizer({
    count: shownRows,
    getScrollElement: () => scroll.current,
    estimateSize: () => rowHeight,
    overscan: 6,
    getItemKey: keyOf,
  })
  const items = virtual.getVirtualItems()
  const { startIndex: first, endIndex: last } = virtual.range ?? { startIndex: 0, endIndex: -1 }

  useEffect(() => {
    if (last >= rows.length - NEAR && rows.length < total) onNearEnd?.()
  }, [last, rows.length, total, onNearEnd])

  useEffect(() => {
    if (last >= first) onRange?.(first, last)
  }, [first, last, onRange])

  // biome-ignore lint/correctness/useExhaustiveDependencies: what was measured holds for rows of the height it was measured at
  useEffect(() => virtual.measure(), [virtual, rowHeight])

  useEffect(() => {
    if (goTo) virtual.scrollToIndex(goTo.index, { align: "start" })
  }, [virtual, goTo])

  const isCurrent = (at: number) => {
    const row = rows.at(at)
    return row !== undefined && rowId(row) === current
  }
  const at = items.find(({ index }) => isCurrent(index))?.index
  const row = at === undefined ? undefined : rows.at(at)
  const move = (by: number) => {
    const index = at === undefined ? first : Math.min(rows.length - 1, Math.max(0, at + by))
    const next = rows.at(index)
    if (!next) return
    props.onCurrent?.(next)
    virtual.scrollToIndex(index, { align: "auto" })
  }
  useKeys({ j: () => move(1), k: () => move(-1), x: () => row && props.onSelect?.(row) })

  const choose = useStable(props.onCurrent)
  const open = useStable(props.onOpen)

  const steer = (event: KeyboardEvent<HTMLDivElement>) => {
    if (event.target !== event.currentTarget) return
    if (event.key === "ArrowDown") move(1)
    else if (event.key === "ArrowUp") move(-1)
    else if (event.key === "Enter" && row) props.onOpen?.(row)
    else if (event.key === " " && row) props.onSelect?.(row)
    else return
    event.preventDefault()
  }

  const sortBy = ({ sort: key, first: initial = "up" }: Column<Row>) => {
    if (!key) return
    const [up, down] = [key, `-${key}`]
    const next = props.sort === up ? down : props.sort === down ? up : initial === "up" ? up : down
    props.onSort?.(next)
  }

  return (
    <div
      className={css.table}
      role="table"
      aria-label={label}
      aria-rowcount={total + 1}
      style={{ "--tracks": tracks, "--least": `${least}px` } as React.CSSProperties}
    >
      <div
        className={css.scroll}
        ref={scroll}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scroll area must be reachable by keys
        tabIndex={0}
        role="rowgroup"
        onKeyDown={steer}
        data-current={current ?? undefined}
      >
        <div className={css.head} role="row" aria-rowindex={1} tabIndex={-1}>
          {shown.map((column) => (
            <div
              key={column.id}
              role="columnheader"
              tabIndex={-1}
              className={css.cell}
              data-align={column.align}
              aria-sort={sortState(column.sort, props.sort)}
            >
              {props.headers?.[column.id] ??
                (column.sort && props.onSort ? (
                  <button
                    type="button"
                    className={css.sort}
                    onClick={() => sortBy(column)}
                    title={say("devices.sortBy", { column: column.title })}
                  >
                    {column.title}
                    <span aria-hidden className={css.arrow}>
                      {props.sort === column.sort ? "↑" : props.sort === `-${column.sort}` ? "↓" : ""}
                    </span>
                  </button>
                ) : (
                  column.title
                ))}
            </div>
          ))}
        </div>
        {rows.length === 0 ? (
          <div role="row" tabIndex={-1}>
            <div role="cell">{props.empty}</div>
          </div>
        ) : (
          <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
            {items.map(({ index, key, start }) => {
              const row = rows.at(index)
              return (
                <div
                  key={key}
                  ref={virtual.measureElement}
                  data-index={index}
                  className={css.item}
                  style={{ transform: `translateY(${start}px)`, minHeight: rowHeight }}
                >
                  <DataRow
                    row={row}
                    columns={shown}
                    index={index}
                    height={rowHeight - LINE}
                    isCurrent={isCurrent(index)}
                    isSelected={props.selected && row && props.selected.has(rowId(row))}
                    isStrong={row !== undefined && (props.isStrong?.(row) ?? false)}
                    onCurrent={choose}
                    onOpen={props.onOpen ? open : undefined}
                  />
                  {row === undefined ? null : props.detail?.(row)}
                </div>
              )
            })}
          </div>
        )}
        {shownRows < rows.length ? <p className={css.beyond}>{say("table.beyond")}</p> : null}
      </div>
    </div>
  )
}

const NO_DATA: object[] = []

function placeOf(index: number): number {
  return index
}

function sortState(key: string | undefined, sort: string | undefined) {
  if (!key || !sort) return undefined
  return sort === key ? "ascending" : sort === `-${key}` ? "descending" : undefined
}
