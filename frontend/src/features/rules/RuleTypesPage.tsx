/** The device types, and how many alert rules of which priority each has. */
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { typesQuery } from "@/api/queries"
import type { TypeInfo } from "@/api/schema"
import { AlertNav } from "@/components/AlertNav"
import { Card } from "@/components/Card"
import { PriorityMark } from "@/components/PriorityMark"
import page from "@/components/page.module.css"
import { Empty, Failed, Skeleton } from "@/components/states"
import { PRIORITIES } from "@/components/tokens"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import css from "./rules.module.css"

export function RuleTypesPage() {
  const { data, error, refetch } = useQuery(typesQuery)
  return (
    <>
      <header className={page.header}>
        <h1 className={page.title}>{say("alerts.title")}</h1>
        <AlertNav />
      </header>
      <Card className={css.whole} title={say("rules.byType")} hint={say("rules.byTypeHelp")}>
        {error && !data ? <Failed error={error} retry={refetch} /> : null}
        {data?.length === 0 ? <Empty title={say("rules.noTypes")} /> : null}
        {data ? (
          <ul>
            {data.map((type) => (
              <Line key={type.name} type={type} />
            ))}
          </ul>
        ) : error ? null : (
          <Skeleton rows={6} />
        )}
      </Card>
    </>
  )
}

function Line({ type }: { readonly type: TypeInfo }) {
  return (
    <li>
      <Link to="/alerts/rules/$type" params={{ type: type.name }} className={css.type}>
        <span className={css.name}>{type.title}</span>
        <span className={css.marks}>
          {PRIORITIES.map((priority) => (
            <span key={priority} className={css.mark}>
              <PriorityMark priority={priority} />
              {count(type.rules.filter((rule) => rule.priority === priority).length)}
            </span>
          ))}
        </span>
        <span className={css.muted}>{say("rules.count", { n: type.rules.length })}</span>
      </Link>
    </li>
  )
}
