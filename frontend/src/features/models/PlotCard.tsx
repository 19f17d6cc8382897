/** A plot of forecasts against what came, and its points as a table for who cannot see it. */
import type { ReactNode } from "react"
import { Card } from "@/components/Card"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { share } from "@/words/figures"
import { say } from "@/words/say"
import css from "./models.module.css"
import type { Point } from "./plotting"
import { TruthPlot } from "./TruthPlot"

interface PlotProps<Row> {
  readonly title: string
  readonly hint: string
  readonly aside?: ReactNode
  readonly rows: readonly Row[]
  readonly point: (row: Row) => Point
  readonly most?: number
  readonly text: (value: number) => string
  readonly acrossTitle: string
  readonly upTitle: string
  readonly columns: readonly PlainColumn<Row>[]
}

export function PlotCard<Row>({ title, hint, aside, rows, point, columns, ...plot }: PlotProps<Row>) {
  const label = say("models.plot", { title, n: rows.length })
  return (
    <PlotFrame title={title} hint={hint} aside={aside} rows={rows} columns={columns}>
      <TruthPlot label={label} points={rows.map(point)} {...plot} />
    </PlotFrame>
  )
}

type FrameProps<Row> = Pick<PlotProps<Row>, "title" | "hint" | "aside" | "rows" | "columns"> & {
  readonly children: ReactNode
}

/** A plot with what it shows above it and its rows as a table below. */
export function PlotFrame<Row>({ title, hint, aside, rows, columns, children }: FrameProps<Row>) {
  return (
    <Card title={title} aside={aside}>
      <p className={css.note}>{hint}</p>
      {rows.length === 0 ? (
        <p className={css.none}>{say("models.notMeasured")}</p>
      ) : (
        <>
          {children}
          <details className={css.more}>
            <summary>{say("models.asTable")}</summary>
            <PlainTable
              label={title}
              columns={columns}
              rows={rows}
              rowId={(row) => JSON.stringify(row)}
              empty=""
            />
          </details>
        </>
      )}
    </Card>
  )
}

export function shareColumn<Key extends string>(
  key: Key,
  title: string,
): PlainColumn<Readonly<Record<Key, number>>> {
  return { id: key, title, align: "right", cell: (row) => share(row[key]) }
}
