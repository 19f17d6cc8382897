/** What happened to the device, newest first. */
import { useQuery } from "@tanstack/react-query"
import { eventsQuery } from "@/api/queries"
import type { EventItem, TypeInfo } from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { PriorityMark } from "@/components/PriorityMark"
import { Failed, Skeleton } from "@/components/states"
import { count, quantity } from "@/words/figures"
import { say, sayOf } from "@/words/say"
import { moment, parse, span } from "@/words/times"
import css from "./Timeline.module.css"
import { channelTitle } from "./useDevice"

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
                {eventText(event, type)}
                <span className={css.faint}> {who(event)}</span>
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
  const priority = type?.rules.find(({ name }) => name === event.detail.rule)?.priority
  return priority ? <PriorityMark priority={priority} /> : <span />
}

/** An event in plain words; one not known yet is named by its type. */
export function eventText({ type: kind, detail }: EventItem, type: TypeInfo | undefined): string {
  const rule = type?.rules.find(({ name }) => name === detail.rule)?.title || detail.rule
  const facts = {
    ...Object.fromEntries(Object.entries(detail).map(([key, value]) => [key, plain(value)])),
    rule: plain(rule),
    channel: detail.channel ? channelTitle(type, String(detail.channel)) : "",
    pattern: sayOf("patterns", String(detail.pattern), plain(detail.pattern)),
    silent_s: typeof detail.silent_s === "number" ? span(detail.silent_s * 1000) : "",
    kind: sayOf("maintenance.kinds", String(detail.kind), plain(detail.kind)),
    readings: typeof detail.readings === "number" ? count(detail.readings) : "",
  }
  const text = sayOf("events", kind, kind, facts)
  return text.charAt(0).toUpperCase() + text.slice(1)
}

function who({ detail }: EventItem): string {
  const parts = [
    detail.by ? say("alerts.by", { name: plain(detail.by) }) : "",
    plain(detail.note ?? detail.reason ?? ""),
  ]
  return parts.filter(Boolean).join(": ")
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return ""
  return typeof value === "number" ? quantity(value) : String(value)
}
