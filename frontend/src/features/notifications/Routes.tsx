/** The routes: which alerts are told to whom, and when. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { channelsQuery, routesQuery, useRemoveRoute } from "@/api/notifications"
import type { NotificationRouteItem } from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { notify } from "@/components/notices"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { Problem } from "@/components/Problem"
import { SureButton } from "@/components/SureButton"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import css from "./NotificationsPage.module.css"
import { RouteDialog } from "./RouteDialog"
import { stepText, takesText, whenText } from "./routeText"

export function Routes({ isEngineer }: { readonly isEngineer: boolean }) {
  const { data, error, refetch } = useQuery(routesQuery)
  const channels = useQuery(channelsQuery).data?.items ?? []
  const remove = useRemoveRoute()
  const [open, setOpen] = useState<NotificationRouteItem | "new" | null>(null)
  const columns: PlainColumn<NotificationRouteItem>[] = [
    {
      id: "name",
      title: say("notifications.name"),
      wraps: true,
      cell: ({ name, enabled }) => (
        <>
          {name} {enabled ? null : <span className={css.off}>{say("notifications.isOff")}</span>}
        </>
      ),
    },
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
              <>
                <Button
                  aria-label={say("notifications.changeOf", { name: route.name })}
                  onClick={() => setOpen(route)}
                >
                  {say("app.change")}
                </Button>
                <SureButton
                  label={say("notifications.removeOf", { name: route.name })}
                  onSure={() =>
                    remove.mutate(route, {
                      onSuccess: () =>
                        notify({ text: say("notifications.route.removed", { name: route.name }) }),
                    })
                  }
                >
                  {say("app.remove")}
                </SureButton>
              </>
            ),
          },
        ]
      : []),
  ]
  return (
    <Card
      className={css.whole}
      title={say("notifications.routes.title")}
      hint={say("notifications.routes.help")}
      aside={
        isEngineer ? (
          <Button onClick={() => setOpen("new")}>{say("notifications.routes.add")}</Button>
        ) : undefined
      }
    >
      <Problem error={remove.error} />
      {error ? <Failed error={error} retry={refetch} /> : null}
      {data ? (
        <PlainTable
          label={say("notifications.routes.title")}
          columns={columns}
          rows={data.items}
          rowId={({ id }) => id}
          empty={say("notifications.routes.none")}
        />
      ) : error ? null : (
        <Skeleton rows={3} />
      )}
      {open ? (
        <RouteDialog route={open === "new" ? null : open} channels={channels} onClose={() => setOpen(null)} />
      ) : null}
    </Card>
  )
}

function Changed({ changed, by }: { readonly changed: string; readonly by: string }) {
  return (
    <span title={by}>
      <Age at={changed} />
    </span>
  )
}
