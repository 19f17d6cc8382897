/** The newest alerts that nobody has acknowledged; each leads to the charts that show why. */
import { useInfiniteQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { useMemo } from "react"
import { alertListQuery, UNACKNOWLEDGED } from "@/api/queries"
import { Age } from "@/components/Age"
import { alertText } from "@/components/alertText"
import { Card } from "@/components/Card"
import { PriorityMark } from "@/components/PriorityMark"
import { Empty, Failed, Skeleton } from "@/components/states"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import css from "./rows.module.css"

const SHOWN = 30

export function NewestAlerts({ className }: { readonly className?: string }) {
  const { data, error, refetch } = useInfiniteQuery(alertListQuery({ state: UNACKNOWLEDGED }))
  const first = data?.pages[0]
  const newest = useMemo(
    () =>
      [...(first?.items ?? [])].sort((a, b) => (b.since ?? "").localeCompare(a.since ?? "")).slice(0, SHOWN),
    [first],
  )
  return (
    <Card
      className={className}
      title={say("overview.newest")}
      aside={
        <Link to="/alerts" className={css.all}>
          {first ? say("priority.unacknowledged", { n: count(first.total) }) : ""}
        </Link>
      }
    >
      {error && !data ? (
        <Failed error={error} retry={refetch} />
      ) : !first ? (
        <Skeleton rows={8} />
      ) : newest.length === 0 ? (
        <Empty title={say("alerts.none.unacknowledged")}>{say("overview.noAlertsHelp")}</Empty>
      ) : (
        <ul className={css.scroll}>
          {newest.map((alert) => (
            <li key={alert.id}>
              <Link
                to="/devices/$id"
                params={{ id: alert.device_id }}
                className={css.alert}
                title={alert.consequence}
              >
                <PriorityMark priority={alert.priority} waiting />
                <span className={css.device}>{alert.device_id}</span>
                <span className={css.text}>{alertText(alert)}</span>
                <span className={css.age}>
                  <Age at={alert.since} bare />
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}
