/** Every message and what became of it, the newest first. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { useNavigate } from "@tanstack/react-router"
import { DELIVERY_STATES } from "@/addresses"
import { channelsQuery, deliveriesQuery } from "@/api/notifications"
import type { DeliveryItem } from "@/api/schema"
import { Age } from "@/components/Age"
import { Chip } from "@/components/Chip"
import type { PlainColumn } from "@/components/PlainTable"
import { TableCard } from "@/components/TableCard"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import css from "./NotificationsPage.module.css"

export function Deliveries({ state }: { readonly state: DeliveryItem["state"] | undefined }) {
  const navigate = useNavigate({ from: "/notifications" })
  const list = useInfiniteQuery(deliveriesQuery(state))
  const channels = new Map(useQuery(channelsQuery).data?.items.map(({ id, name }) => [id, name]))
  const { data, error, refetch } = list
  const choose = (next: typeof state) =>
    navigate({ search: { tab: "deliveries", state: next }, replace: true })
  const columns: PlainColumn<DeliveryItem>[] = [
    {
      id: "subject",
      title: say("notifications.deliveries.subject"),
      wraps: true,
      cell: ({ subject }) => subject,
    },
    {
      id: "kind",
      title: say("notifications.deliveries.kind"),
      cell: ({ kind }) => say(`notifications.deliveries.kinds.${kind}`),
    },
    {
      id: "channel",
      title: say("notifications.deliveries.channel"),
      cell: ({ channel }) => channels.get(channel) ?? (channel || "–"),
    },
    {
      id: "state",
      title: say("notifications.deliveries.state"),
      cell: ({ state: standing, attempts }) => (
        <span title={say("notifications.deliveries.attempts", { n: attempts, shown: count(attempts) })}>
          {say(`notifications.deliveries.states.${standing}`)}
        </span>
      ),
    },
    {
      id: "said",
      title: say("notifications.deliveries.said"),
      wraps: true,
      cell: ({ said }) => said,
    },
    { id: "made", title: say("notifications.deliveries.made"), cell: ({ made }) => <Age at={made} /> },
  ]
  return (
    <TableCard
      title={say("notifications.deliveries.title")}
      hint={say("notifications.deliveries.help")}
      aside={
        <div className={css.chips}>
          <Chip pressed={state === undefined} onClick={() => choose(undefined)}>
            {say("notifications.deliveries.any")}
          </Chip>
          {DELIVERY_STATES.map((each) => (
            <Chip key={each} pressed={state === each} onClick={() => choose(each)}>
              {say(`notifications.deliveries.states.${each}`)}
            </Chip>
          ))}
        </div>
      }
      columns={columns}
      rows={data?.pages.flatMap(({ items }) => items)}
      rowId={({ id }) => id}
      empty={say(state ? "notifications.deliveries.noneOf" : "notifications.deliveries.none")}
      error={error}
      retry={refetch}
      pages={list}
    />
  )
}
