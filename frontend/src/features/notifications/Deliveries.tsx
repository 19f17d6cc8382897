/** Every message and what became of it, the newest first. */
import { Button } from "@mantine/core"
import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { useNavigate } from "@tanstack/react-router"
import { DELIVERY_STATES } from "@/addresses"
import { channelsQuery, deliveriesQuery } from "@/api/notifications"
import type { DeliveryItem } from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { Chip } from "@/components/Chip"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { Failed, Skeleton } from "@/components/states"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import css from "./NotificationsPage.module.css"

export function Deliveries({ state }: { readonly state: DeliveryItem["state"] | undefined }) {
  const navigate = useNavigate({ from: "/notifications" })
  const list = useInfiniteQuery(deliveriesQuery(state))
  const channels = new Map(useQuery(channelsQuery).data?.items.map(({ id, name }) => [id, name]))
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = list
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
    <Card
      className={css.whole}
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
    >
      {error && !data ? <Failed error={error} retry={refetch} /> : null}
      {data ? (
        <PlainTable
          label={say("notifications.deliveries.title")}
          columns={columns}
          rows={data.pages.flatMap(({ items }) => items)}
          rowId={({ id }) => id}
          empty={say(state ? "notifications.deliveries.noneOf" : "notifications.deliveries.none")}
        />
      ) : error ? null : (
        <Skeleton rows={4} />
      )}
      {hasNextPage ? (
        <div className={css.more}>
          <Button onClick={() => fetchNextPage()} loading={isFetchingNextPage}>
            {say("app.olderOnes")}
          </Button>
        </div>
      ) : null}
    </Card>
  )
}
