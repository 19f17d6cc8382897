/** A row of a `DataTable`, or its place while it has not been read. */
import { type MouseEvent, memo } from "react"
import type { Column } from "./DataTable"
import css from "./DataTable.module.css"

interface Props<Row> {
  readonly row: Row | undefined
  readonly columns: readonly Column<Row>[]
  /** Its place in the list, from 0. */
  readonly index: number
  readonly height: number
  readonly isCurrent: boolean
  readonly isSelected: boolean | undefined
  readonly isStrong: boolean
  readonly onCurrent?: (row: Row) => void
  readonly onOpen?: (row: Row) => void
}

function BareRow<Row>({ row, columns, index, height, ...state }: Props<Row>) {
  const place = { "aria-rowindex": index + 2, tabIndex: -1, style: { minHeight: height } }
  if (row === undefined)
    return (
      <div role="row" {...place} className={css.row} aria-busy>
        <div role="cell" aria-colspan={columns.length} className={css.unread} />
      </div>
    )
  const press = ({ target }: MouseEvent) => {
    state.onCurrent?.(row)
    if (!(target as HTMLElement).closest("a, button, input, label")) state.onOpen?.(row)
  }
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: keys are handled for the whole table
    <div
      role="row"
      {...place}
      className={css.row}
      aria-selected={state.isSelected}
      data-current={state.isCurrent || undefined}
      data-strong={state.isStrong || undefined}
      data-opens={state.onOpen !== undefined || undefined}
      onClick={press}
    >
      {columns.map((column) => (
        <div
          key={column.id}
          role="cell"
          className={css.cell}
          data-align={column.align}
          data-narrow={column.narrow ?? "none"}
          data-title={column.named ? column.title : undefined}
        >
          {column.cell(row, state.isSelected ?? false)}
        </div>
      ))}
    </div>
  )
}

/** Drawn again only where something of it is another. */
export const DataRow = memo(BareRow) as typeof BareRow
