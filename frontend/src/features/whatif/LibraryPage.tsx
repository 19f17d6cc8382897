/** What was asked of the twins and what is being asked now, newest first; and questions to begin from. */
import { Button } from "@mantine/core"
import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { Link, useNavigate } from "@tanstack/react-router"
import { reaches } from "@/api/accounts"
import { useMe } from "@/api/session"
import { type Experiment, experimentsQuery, templatesQuery } from "@/api/whatif"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import type { PlainColumn } from "@/components/PlainTable"
import page from "@/components/page.module.css"
import { TableCard } from "@/components/TableCard"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { span } from "@/words/times"
import "./words"
import { deviceCount } from "./resultText"
import { Standing } from "./Standing"
import css from "./whatif.module.css"

const HOUR_MS = 3600_000

export function LibraryPage() {
  const list = useInfiniteQuery(experimentsQuery)
  const navigate = useNavigate()
  const mayAsk = reaches(useMe()?.role, "engineer")
  return (
    <>
      <header className={page.header}>
        <h1 className={page.title}>{say("whatif.title")}</h1>
        <span className={css.muted}>{say("whatif.help")}</span>
        {mayAsk ? (
          <div className={css.acts}>
            <Button variant="filled" onClick={() => navigate({ to: "/whatif/new" })}>
              {say("whatif.make")}
            </Button>
          </div>
        ) : null}
      </header>
      <TableCard
        title={say("whatif.experiments")}
        columns={columns(mayAsk)}
        rows={list.data?.pages.flatMap(({ items }) => items)}
        rowId={({ id }) => id}
        empty={
          <>
            <strong>{say("whatif.none")}</strong>
            <br />
            {say(mayAsk ? "whatif.noneHelp" : "whatif.noneViewer")}
          </>
        }
        error={list.error}
        retry={list.refetch}
        pages={list}
      />
      {mayAsk ? <Templates /> : null}
    </>
  )
}

function Templates() {
  const { data } = useQuery(templatesQuery)
  return (
    <Card className={css.whole} title={say("whatif.templates")} hint={say("whatif.templatesHelp")}>
      <ul>
        {data?.items.map(({ name, title }) => (
          <li key={name} className={css.template}>
            <Link to="/whatif/new" search={{ template: name }} className={css.link}>
              {title || name}
            </Link>
            <code className={css.muted}>{name}</code>
          </li>
        ))}
      </ul>
      {data?.items.length === 0 ? <p className={css.none}>{say("whatif.noTemplates")}</p> : null}
    </Card>
  )
}

function columns(mayAsk: boolean): readonly PlainColumn<Experiment>[] {
  return [
    {
      id: "name",
      title: say("whatif.name"),
      wraps: true,
      cell: ({ id, name, title }) => (
        <Link to="/whatif/$id" params={{ id }} className={css.link} title={name}>
          {title || name}
        </Link>
      ),
    },
    { id: "state", title: say("whatif.state"), cell: (experiment) => <Standing experiment={experiment} /> },
    { id: "arms", title: say("whatif.arms"), align: "right", cell: ({ arms }) => count(arms.length) },
    { id: "replications", title: say("whatif.replications"), align: "right", cell: replicationsText },
    {
      id: "devices",
      title: say("whatif.devices"),
      align: "right",
      cell: ({ devices }) => count(deviceCount(devices) || null),
    },
    {
      id: "horizon",
      title: say("whatif.horizon"),
      align: "right",
      cell: ({ horizon_h }) => span(horizon_h * HOUR_MS),
    },
    { id: "by", title: say("whatif.by"), cell: ({ by }) => by },
    { id: "when", title: say("whatif.when"), cell: ({ created_at }) => <Age at={created_at} /> },
    ...(mayAsk ? [{ id: "acts", title: "", cell: Copy }] : []),
  ]
}

function Copy({ id, name }: Experiment) {
  return (
    <Link
      to="/whatif/new"
      search={{ from: id }}
      className={css.link}
      aria-label={say("whatif.copyOf", { name })}
    >
      {say("whatif.copy")}
    </Link>
  )
}

function replicationsText({ state, replications_done, replications_wanted }: Experiment): string {
  if (state === "done" || replications_done === replications_wanted) return count(replications_done)
  return say("whatif.ofReplications", { done: count(replications_done), wanted: count(replications_wanted) })
}
