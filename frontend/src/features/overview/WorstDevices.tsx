/** The devices in the poorest health, and how that changed within a day. */
import { useQueries, useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { conditionQuery, fewDevicesQuery } from "@/api/queries"
import type { ConditionHistory } from "@/api/schema"
import { Card } from "@/components/Card"
import { HealthBar } from "@/components/HealthBar"
import { Empty, Failed, Skeleton } from "@/components/states"
import { change } from "@/words/figures"
import { say } from "@/words/say"
import { now, span } from "@/words/times"
import css from "./rows.module.css"

const SHOWN = 6
const DAY_S = 86_400
const LEAST_MS = 60_000

export function WorstDevices() {
  const { data, error, refetch } = useQuery(
    fewDevicesQuery(
      { filter: "health is not null and not retired and not importing", sort: "health" },
      SHOWN,
    ),
  )
  const items = data?.items ?? []
  const before = useQueries({ queries: items.map(({ id }) => conditionQuery(id, { lastS: DAY_S })) })
  return (
    <Card
      title={say("overview.worst")}
      aside={
        <Link to="/devices" search={{ sort: "health" }} className={css.all}>
          {say("overview.allDevices")}
        </Link>
      }
    >
      {error && !data ? (
        <Failed error={error} retry={refetch} />
      ) : !data ? (
        <Skeleton rows={SHOWN} />
      ) : items.length === 0 ? (
        <Empty title={say("overview.noHealth")}>{say("overview.noHealthHelp")}</Empty>
      ) : (
        <ul className={css.scroll}>
          {items.map(({ id, health }, i) => (
            <li key={id}>
              <Link to="/devices/$id" params={{ id }} className={css.device_row}>
                <span className={css.device}>{id}</span>
                <HealthBar value={health} />
                <span className={css.age}>{changeText(health, before[i]?.data)}</span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

/** "−5 in 24 h", or since the first score known. */
function changeText(health: number | null, condition: ConditionHistory | undefined): string {
  const first = condition?.health.findIndex((each) => each !== null) ?? -1
  const then = condition?.health[first]
  const at = condition?.time[first]
  if (health === null || then === null || then === undefined || at === undefined) return ""
  const passed = now() - at
  return passed < LEAST_MS
    ? ""
    : say("overview.change", { change: change(health - then), span: span(passed) })
}
