/** The routes: which alerts are told to whom, and when. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { channelsQuery, routesQuery, useRemoveRoute } from "@/api/notifications"
import type { NotificationRouteItem } from "@/api/schema"
import { Age } from "@/components/Age"
import { notify } from "@/components/notices"
import type { PlainColumn } from "@/components/PlainTable"
import { Problem } from "@/components/Problem"
import { TableCard } from "@/components/TableCard"
import { say } from "@/words/say"
import css from "./NotificationsPage.module.css"
import { nameColumn } from "./nameColumn"
import { RouteDialog } from "./RouteDialog"
import { RowActs } from "./RowActs"
import { stepText, takesText, whenText } from "./routeText"

export function Routes({ isEngineer }: { readonly isEngineer: boolean }) {
  const { data, error, refetch } = useQuery(routesQuery)
  const channels = useQuery(channelsQuery).data?.items ?? []
  const remove = useRemoveRoute()
  const [open, setOpen] = useState<NotificationRouteItem | "new" | null>(null)
  const columns: PlainColumn<NotificationRouteItem>[] = [
    nameColumn(),
    { id: "takes", title: say("notifications.routes.takes"), wraps: true, cell: takesText },
    { id: "when", title: say("notifications.routes.when"), wraps: true, cell: whenText },
    {
      id: "tells",
      title: say("notifications.routes.tells"),
      wraps: true,
      cell: ({ steps }) => (
        <ol className={css.lines}>
          {steps.map((step) => (
            <li key={step.after_s ?? 0}>{stepText(step, channels)}</li>
          ))}
        </ol>
      ),
    },
    { id: "changed", title: say("notifications.changed"), cell: Changed },
    ...(isEngineer
      ? [
          {
            id: "acts",
            title: "",
            cell: (route: NotificationRouteItem) => (
              <RowActs
                name={route.name}
                onChange={() => setOpen(route)}
                onRemove={() =>
                  remove.mutate(route, {
                    onSuccess: () =>
                      notify({ text: say("notifications.route.removed", { name: route.name }) }),
                  })
                }
              />
            ),
          },
        ]
      : []),
  ]
  return (
    <>
      <TableCard
        title={say("notifications.routes.title")}
        hint={say("notifications.routes.help")}
        aside={
          isEngineer ? (
            <Button onClick={() => setOpen("new")}>{say("notifications.routes.add")}</Button>
          ) : undefined
        }
        columns={columns}
        rows={data?.items}
        rowId={({ id }) => id}
        empty={say("notifications.routes.none")}
        error={error}
        retry={refetch}
      >
        <Problem error={remove.error} />
      </TableCard>
      {open ? (
        <RouteDialog route={open === "new" ? null : open} channels={channels} onClose={() => setOpen(null)} />
      ) : null}
    </>
  )
}

function Changed({ changed, by }: { readonly changed: string; readonly by: string }) {
  return (
    <span title={by}>
      <Age at={changed} />
    </span>
  )
}
