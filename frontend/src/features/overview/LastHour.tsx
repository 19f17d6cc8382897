/** What changed within the last hour, by kind. Each row leads to the journal. */
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { eventCountsQuery } from "@/api/queries"
import type { EventCount } from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { Empty, Failed, Skeleton } from "@/components/states"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import css from "./rows.module.css"

/** What a person may have to know of, in the order in which it matters; all else is in the journal. */
const TOLD = [
  "alert.raised",
  "alert.reraised",
  "device.stale",
  "pattern.started",
  "alert.cleared",
  "device.reporting",
  "maintenance.recorded",
  "device.command_failed",
  "device.command_done",
  "device.registered",
  "device.retired",
] as const
type Told = (typeof TOLD)[number]

const SHOWN = 6
const RANGE = { lastS: 3600 }

export function LastHour() {
  const { data, error, refetch } = useQuery(eventCountsQuery(RANGE))
  const rows = changesIn(data?.items ?? [])
  return (
    <Card
      title={say("overview.lastHour")}
      aside={
        <Link to="/alerts/journal" search={{ range: "1h" }} className={css.all}>
          {say("overview.journal")}
        </Link>
      }
    >
      {error && !data ? (
        <Failed error={error} retry={refetch} />
      ) : !data ? (
        <Skeleton rows={SHOWN} />
      ) : rows.length === 0 ? (
        <Empty title={say("overview.calm")}>{say("overview.calmHelp")}</Empty>
      ) : (
        <ul className={css.scroll}>
          {rows.map(({ type, events, devices, last_at }) => (
            <li key={type}>
              <Link
                to="/alerts/journal"
                search={{ range: "1h", kind: type.split(".")[0] }}
                className={css.changed}
                aria-label={say("overview.changedLabel", {
                  what: say(`overview.changed.${type}`),
                  events: count(events),
                  n: devices,
                })}
              >
                <span className={css.device}>{say(`overview.changed.${type}`)}</span>
                <span>{count(events)}</span>
                <span className={css.age}>
                  <Age at={last_at} bare />
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

/** Of what was counted, that which the card tells, in its order. */
export function changesIn(counts: readonly EventCount[]): (EventCount & { readonly type: Told })[] {
  const byType = new Map(counts.map((each) => [each.type, each]))
  return TOLD.flatMap((type) => {
    const found = byType.get(type)
    return found ? [{ ...found, type }] : []
  }).slice(0, SHOWN)
}
