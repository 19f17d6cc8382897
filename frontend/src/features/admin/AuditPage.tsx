/** Who did what, when and from where: the newest first, narrowed by the address. */
import { Button, TextInput } from "@mantine/core"
import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { getRouteApi, useNavigate } from "@tanstack/react-router"
import type { FormEvent } from "react"
import { accountsQuery, auditQuery } from "@/api/accounts"
import type { AuditItem } from "@/api/schema"
import { useMe } from "@/api/session"
import { Age } from "@/components/Age"
import type { PlainColumn } from "@/components/PlainTable"
import { Empty } from "@/components/states"
import { TableCard } from "@/components/TableCard"
import { say } from "@/words/say"
import css from "./admin.module.css"

const page = getRouteApi("/admin/audit")
const FIELDS = ["by", "what", "subject"] as const

export function AuditPage() {
  if (useMe()?.role !== "admin") return <Empty title={say("admin.notForEngineers")} />
  return <Audit />
}

function Audit() {
  const search = page.useSearch()
  const navigate = useNavigate({ from: "/admin/audit" })
  const list = useInfiniteQuery(auditQuery(search))
  const accounts = useQuery(accountsQuery).data?.items ?? []
  const { data, error, refetch } = list
  const isNarrowed = FIELDS.some((field) => search[field])
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const typed = (field: string) => String(form.get(field) ?? "").trim() || undefined
    navigate({ search: { by: typed("by"), what: typed("what"), subject: typed("subject") } })
  }
  const columns: PlainColumn<AuditItem>[] = [
    { id: "when", title: say("audit.when"), cell: ({ at }) => <Age at={at} /> },
    { id: "who", title: say("audit.who"), cell: ({ by }) => by || say("app.unknown") },
    { id: "from", title: say("audit.from"), cell: ({ address }) => address },
    { id: "what", title: say("audit.what"), wraps: true, cell: ({ what }) => what },
    { id: "subject", title: say("audit.subject"), wraps: true, cell: ({ subject }) => subject },
    { id: "detail", title: say("audit.detail"), wraps: true, cell: Detail },
  ]
  return (
    <TableCard
      title={say("audit.title")}
      hint={say("audit.help")}
      columns={columns}
      rows={data?.pages.flatMap(({ items }) => items)}
      rowId={({ number }) => number}
      empty={say("audit.none")}
      error={error}
      retry={refetch}
      pages={list}
    >
      <form key={FIELDS.map((field) => search[field]).join("\n")} className={css.line} onSubmit={submit}>
        <TextInput
          name="by"
          label={say("audit.by")}
          defaultValue={search.by}
          list="audit-people"
          autoComplete="off"
        />
        <TextInput
          name="what"
          label={say("audit.kind")}
          placeholder="account."
          defaultValue={search.what}
          autoComplete="off"
        />
        <TextInput
          name="subject"
          label={say("audit.about")}
          defaultValue={search.subject}
          autoComplete="off"
        />
        <Button type="submit">{say("audit.narrow")}</Button>
        {isNarrowed ? (
          <Button variant="subtle" onClick={() => navigate({ search: {} })}>
            {say("audit.all")}
          </Button>
        ) : null}
        <datalist id="audit-people">
          {accounts.map(({ name }) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      </form>
    </TableCard>
  )
}

/** What else a line tells, as `role: operator, disabled: false`. */
function Detail({ detail }: AuditItem) {
  if (Object.keys(detail).length === 0) return null
  const facts = Object.entries(detail).map(([name, value]) => `${name}: ${textOf(value)}`)
  return <span className={css.detail}>{facts.join(", ")}</span>
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value)
}
