/** The patterns seen on the device's channels at present; since when and how sure comes from their events. */
import { useQuery } from "@tanstack/react-query"
import { eventsQuery } from "@/api/queries"
import type { DeviceDetail, EventItem, PatternItem, TypeInfo } from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { channelTitle } from "@/components/channelTitle"
import { share } from "@/words/figures"
import { say, sayOf } from "@/words/say"
import css from "./cards.module.css"

interface Props {
  readonly device: DeviceDetail
  readonly type: TypeInfo | undefined
}

export function PatternsCard({ device: { id, patterns }, type }: Props) {
  const events = useQuery(eventsQuery(id)).data?.items ?? []
  return (
    <Card title={say("device.patterns")}>
      {patterns.length === 0 ? (
        <p className={css.none}>{say("device.noPatterns")}</p>
      ) : (
        <ul>
          {patterns.map((seen) => {
            const start = startOf(seen, events)
            const sure = start?.detail.confidence
            return (
              <li key={`${seen.pattern} ${seen.channel}`} className={css.row}>
                <span className={css.pattern}>
                  <span>{sayOf("patterns", seen.pattern, seen.pattern)}</span>
                  <span className={css.where}>{channelTitle(type, seen.channel)}</span>
                </span>
                <span className={css.faint}>
                  {typeof sure === "number" ? `${say("device.confidence", { share: share(sure) })} · ` : ""}
                  {start ? <Age at={start.at} bare /> : null}
                </span>
              </li>
            )
          })}
        </ul>
      )}
    </Card>
  )
}

/** The newest start of a pattern; events come newest first. */
function startOf({ pattern, channel }: PatternItem, events: readonly EventItem[]): EventItem | undefined {
  return events.find(
    ({ type, detail }) =>
      type === "pattern.started" && detail.pattern === pattern && detail.channel === channel,
  )
}
