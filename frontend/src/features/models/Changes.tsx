/** Which versions of a type's model were put in force, when, by whom and why. */
import { useQuery } from "@tanstack/react-query"
import { modelChangesQuery } from "@/api/models"
import type { ModelChange } from "@/api/schema"
import { Age } from "@/components/Age"
import type { PlainColumn } from "@/components/PlainTable"
import { TableCard } from "@/components/TableCard"
import { say } from "@/words/say"

export function Changes({ type }: { readonly type: string }) {
  const { data, error, refetch } = useQuery(modelChangesQuery(type))
  const columns: readonly PlainColumn<ModelChange>[] = [
    {
      id: "what",
      title: say("models.what"),
      cell: ({ act, version: n }) => say(act === "promoted" ? "models.promoted" : "models.rolledBack", { n }),
    },
    { id: "former", title: say("models.former"), align: "right", cell: ({ former }) => former ?? "–" },
    { id: "at", title: say("models.at"), cell: ({ at }) => <Age at={at} /> },
    { id: "by", title: say("models.by"), cell: ({ by }) => by },
    { id: "why", title: say("models.why"), wraps: true, cell: ({ reason }) => reason },
  ]
  return (
    <TableCard
      title={say("models.changes")}
      columns={columns}
      rows={data?.changes}
      rowId={({ at, version }) => `${at} ${version}`}
      empty={say("models.noChanges")}
      error={error}
      retry={refetch}
    />
  )
}
