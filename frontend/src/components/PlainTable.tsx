/** A table of a few rows, written out whole. It scrolls sideways where it must; on a narrow screen a row folds. */
import type { ReactNode } from "react"
import { say } from "@/words/say"
import css from "./PlainTable.module.css"

export interface PlainColumn<Row> {
  readonly id: string
  /** Empty for the column of what can be done with a row. */
  readonly title: string
  readonly align?: "right"
  /** May break into lines; other cells never do. */
  readonly wraps?: boolean
  readonly cell: (row: Row) => ReactNode
}

interface Props<Row> {
  readonly label: string
  readonly columns: readonly PlainColumn<Row>[]
  readonly rows: readonly Row[]
  readonly rowId: (row: Row) => string | number
  readonly empty: ReactNode
}

export function PlainTable<Row>({ label, columns, rows, rowId, empty }: Props<Row>) {
  if (rows.length === 0) return <p className={css.none}>{empty}</p>
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard (WCAG 2.1.1)
    <section className={css.scroll} aria-label={label} tabIndex={0}>
      <table className={css.table}>
        <thead>
          <tr>
            {columns.map(({ id, title, align }) => (
              <th key={id} data-align={align}>
                {title || <span className="visually-hidden">{say("app.acts")}</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowId(row)}>
              {columns.map(({ id, title, align, wraps, cell }) => (
                <td
                  key={id}
                  data-title={title}
                  data-align={align}
                  data-wraps={wraps}
                  data-acts={title === "" || undefined}
                >
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
