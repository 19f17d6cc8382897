/**
 * A dense table of which only the rows in view exist. It knows how many rows there are in all, asks for more near its end,
 * and never moves a row under the reader's hand. On a narrow screen a row folds into two lines.
 */
import { type ColumnDef, columnVisibilityFeature, tableFeatures, useTable } from "@tanstack/react-table"
import { useVirtualizer } from "@tanstack/react-virtual"
import { type KeyboardEvent, type ReactNode, useEffect, useMemo, useRef } from "react"
import { usePreferences } from "@/words/preferences"
import { say } from "@/words/say"
import css from "./DataTable.module.css"
import { useKeys } from "./useKeys"

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
  readonly header?: ReactNode
  readonly cell: (row: Row) => ReactNode
}

interface Props<Row> {
  readonly label: string
  readonly columns: readonly Column<Row>[]
  readonly hidden?: ReadonlySet<string>
  readonly rows: readonly Row[]
  readonly rowId: (row: Row) => string
  readonly total: number
  readonly sort?: string
  readonly onSort?: (sort: string) => void
  readonly onNearEnd?: () => void
  readonly onOpen?: (row: Row) => void
  readonly current?: string | null
  readonly onCurrent?: (row: Row) => void
  readonly selected?: ReadonlySet<string>
  readonly onSelect?: (row: Row) => void
  /** Rows that need attention are written in ink, the others muted. */
  readonly isStrong?: (row: Row) => boolean
  readonly onVisible?: (rows: readonly Row[]) => void
  /** Shown below a row that is opened. */
  readonly detail?: (row: Row) => ReactNode
  /** Instead of what the reader's density says, for rows of several lines. */
  readonly rowHeight?: number
  readonly empty: ReactNode
}

const features = tableFeatures({ columnVisibilityFeature })
const ROW_HEIGHT = { comfortable: 32, compact: 26 } as const
const NEAR = 20
const GAP = 16
const PADDING = 14

export function DataTable<Row>(props: Props<Row>) {
  const { label, columns, rows, rowId, total, hidden, onNearEnd, onVisible, current } = props
  const { density } = usePreferences()
  const rowHeight = props.rowHeight ?? ROW_HEIGHT[density]
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
  const shown = table.getVisibleLeafColumns().flatMap(({ id }) => byId.get(id) ?? [])
  const tracks = shown
    .map(({ width, grow = 0 }) => (grow > 0 ? `minmax(${width}px, ${grow}fr)` : `${width}px`))
    .join(" ")
  const least = shown.reduce((sum, { width }) => sum + width + GAP, 2 * PADDING - GAP)

  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    getItemKey: (i) => rowId(rows[i] as Row),
  })
  const items = virtual.getVirtualItems()
  const first = items[0]?.index ?? 0
  const last = items.at(-1)?.index ?? -1

  useEffect(() => {
    if (last >= rows.length - NEAR && rows.length < total) onNearEnd?.()
  }, [last, rows.length, total, onNearEnd])

  useEffect(() => {
    onVisible?.(rows.slice(first, last + 1))
  }, [first, last, rows, onVisible])

  const at = rows.findIndex((row) => rowId(row) === current)
  const row = rows[at]
  const move = (by: number) => {
    const index = Math.min(rows.length - 1, Math.max(0, at + by))
    const next = rows[index]
    if (!next) return
    props.onCurrent?.(next)
    virtual.scrollToIndex(index, { align: "auto" })
  }
  useKeys({ j: () => move(1), k: () => move(-1), x: () => row && props.onSelect?.(row) })

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
              {column.header ??
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
              const row = rows[index] as Row
              const id = rowId(row)
              return (
                <div
                  key={key}
                  ref={virtual.measureElement}
                  data-index={index}
                  className={css.item}
                  style={{ transform: `translateY(${start}px)`, minHeight: rowHeight }}
                >
                  {/* biome-ignore lint/a11y/useKeyWithClickEvents: keys are handled for the whole table */}
                  <div
                    className={css.row}
                    style={{ minHeight: rowHeight }}
                    role="row"
                    aria-rowindex={index + 2}
                    tabIndex={-1}
                    aria-selected={props.selected?.has(id)}
                    data-current={id === current || undefined}
                    data-strong={props.isStrong?.(row) || undefined}
                    data-opens={props.onOpen !== undefined || undefined}
                    onClick={(event) => {
                      props.onCurrent?.(row)
                      if (!(event.target as HTMLElement).closest("a, button, input, label"))
                        props.onOpen?.(row)
                    }}
                  >
                    {shown.map((column) => (
                      <div
                        key={column.id}
                        role="cell"
                        className={css.cell}
                        data-align={column.align}
                        data-narrow={column.narrow ?? "none"}
                        data-title={column.named ? column.title : undefined}
                      >
                        {column.cell(row)}
                      </div>
                    ))}
                  </div>
                  {props.detail?.(row)}
                </div>
              )
            })}
          </div>
        )}
      </div>
    </div>
  )
}

const NO_DATA: object[] = []

function sortState(key: string | undefined, sort: string | undefined) {
  if (!key || !sort) return undefined
  return sort === key ? "ascending" : sort === `-${key}` ? "descending" : undefined
}
