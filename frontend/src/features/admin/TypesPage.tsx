/** The device types in force, each leading to its page. */
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { summaryQuery, typesQuery } from "@/api/queries"
import type { TypeInfo } from "@/api/schema"
import type { PlainColumn } from "@/components/PlainTable"
import { TableCard } from "@/components/TableCard"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import css from "./admin.module.css"

export function TypesPage() {
  const { data, error, refetch } = useQuery(typesQuery)
  const devices = new Map(useQuery(summaryQuery).data?.types.map((each) => [each.type, each.devices]))
  const columns: PlainColumn<TypeInfo>[] = [
    {
      id: "title",
      title: say("types.type"),
      wraps: true,
      cell: ({ name, title }) => (
        <Link to="/admin/types/$name" params={{ name }} className={css.link}>
          {title}
        </Link>
      ),
    },
    { id: "name", title: say("types.name"), cell: ({ name }) => name },
    { id: "version", title: say("types.version"), align: "right", cell: ({ version }) => version },
    {
      id: "devices",
      title: say("types.devices"),
      align: "right",
      cell: ({ name }) => count(devices.get(name) ?? 0),
    },
    {
      id: "channels",
      title: say("types.channels"),
      align: "right",
      cell: ({ channels }) => channels.length,
    },
    { id: "rules", title: say("types.rules"), align: "right", cell: ({ rules }) => rules.length },
  ]
  return (
    <TableCard
      title={say("types.title")}
      hint={say("types.help")}
      columns={columns}
      rows={data}
      rowId={({ name }) => name}
      empty={say("app.none")}
      error={error}
      retry={refetch}
    />
  )
}
