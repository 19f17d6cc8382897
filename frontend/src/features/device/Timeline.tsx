/** What happened to the device, newest first. */
import { useQuery } from "@tanstack/react-query"
import { eventsQuery } from "@/api/queries"
import type { EventItem, TypeInfo } from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { byWhom, eventText } from "@/components/eventText"
import { PriorityMark } from "@/components/PriorityMark"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import { moment, parse } from "@/words/times"
import css from "./Timeline.module.css"

const SHOWN = 100

interface Props {
  readonly id: string
  readonly type: TypeInfo | undefined
}

export function Timeline({ id, type }: Props) {
  const { data, error, refetch } = useQuery(eventsQuery(id))
  return (
    <Card title={say("device.timeline")}>
      {error && !data ? (
        <Failed error={error} retry={refetch} />
      ) : !data ? (
        <Skeleton rows={5} />
      ) : data.items.length === 0 ? (
        <p className={css.none}>{say("device.noEvents")}</p>
      ) : (
        <ol
          className={css.list}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a scroll area must be reachable by keys
          tabIndex={0}
        >
          {data.items.slice(0, SHOWN).map((event, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: events have no id of their own; the list only grows at its head
            <li key={`${event.at} ${event.type} ${data.items.length - i}`} className={css.event}>
              <span className={css.time}>{moment(parse(event.at) ?? 0)}</span>
              <Mark event={event} type={type} />
              <span className={css.text}>
                {eventText(event, ruleOf(event, type)?.title, type)}
                <span className={css.faint}> {byWhom(event)}</span>
              </span>
              <span className={css.age}>
                <Age at={event.at} bare />
              </span>
            </li>
          ))}
        </ol>
      )}
    </Card>
  )
}

function Mark({ event, type }: { readonly event: EventItem; readonly type: TypeInfo | undefined }) {
  if (event.type !== "alert.raised" && event.type !== "alert.reraised") return <span />
  const priority = ruleOf(event, type)?.priority
  return priority ? <PriorityMark priority={priority} /> : <span />
}

function ruleOf({ detail }: EventItem, type: TypeInfo | undefined) {
  return type?.rules.find(({ name }) => name === detail.rule)
}
