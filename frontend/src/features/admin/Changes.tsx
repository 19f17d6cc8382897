/** What changes from one document to another: where, before, after. */
import type { TypeChange } from "@/api/schema"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { say } from "@/words/say"
import css from "./admin.module.css"

export function Changes({ changes }: { readonly changes: readonly TypeChange[] }) {
  const columns: PlainColumn<TypeChange>[] = [
    { id: "path", title: say("types.where"), wraps: true, cell: ({ path }) => path },
    { id: "before", title: say("types.before"), wraps: true, cell: ({ before }) => <Value of={before} /> },
    { id: "after", title: say("types.after"), wraps: true, cell: ({ after }) => <Value of={after} /> },
  ]
  return (
    <PlainTable
      label={say("types.changes")}
      columns={columns}
      rows={changes}
      rowId={({ path }) => path}
      empty={say("types.noChanges")}
    />
  )
}

function Value({ of }: { readonly of: unknown }) {
  if (of === null || of === undefined) return <span>–</span>
  const isPlain = typeof of === "string" || typeof of === "number"
  return <code className={css.value}>{isPlain ? String(of) : JSON.stringify(of, null, 1)}</code>
}
