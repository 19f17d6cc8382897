/** A card with a table of what the API lists: not there yet, failed, none, and the older ones on demand. */
import { Button } from "@mantine/core"
import type { ReactNode } from "react"
import { say } from "@/words/say"
import { Card } from "./Card"
import { type PlainColumn, PlainTable } from "./PlainTable"
import { Failed, Skeleton } from "./states"
import css from "./TableCard.module.css"

interface Props<Row> {
  readonly title: string
  readonly hint?: string
  readonly aside?: ReactNode
  /** Between the heading and the table. */
  readonly children?: ReactNode
  readonly columns: readonly PlainColumn<Row>[]
  /** Undefined until they are known. */
  readonly rows: readonly Row[] | undefined
  readonly rowId: (row: Row) => string | number
  readonly empty: ReactNode
  readonly error: Error | null
  readonly retry: () => void
  /** Where they come in pages. */
  readonly pages?: {
    readonly hasNextPage: boolean
    readonly isFetchingNextPage: boolean
    readonly fetchNextPage: () => void
  }
}

const EXPECTED_ROWS = 4

export function TableCard<Row>(props: Props<Row>) {
  const { title, hint, aside, children, columns, rows, rowId, empty, error, retry, pages } = props
  return (
    <Card className={css.whole} title={title} hint={hint} aside={aside}>
      {children}
      {rows ? (
        <PlainTable label={title} columns={columns} rows={rows} rowId={rowId} empty={empty} />
      ) : error ? (
        <Failed error={error} retry={retry} />
      ) : (
        <Skeleton rows={EXPECTED_ROWS} />
      )}
      {pages?.hasNextPage ? (
        <div className={css.more}>
          <Button onClick={() => pages.fetchNextPage()} loading={pages.isFetchingNextPage}>
            {say("app.olderOnes")}
          </Button>
        </div>
      ) : null}
    </Card>
  )
}
