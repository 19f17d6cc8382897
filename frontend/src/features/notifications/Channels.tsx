/** The channels: ways to reach somebody. Admins make them, since they lead out of the platform; engineers try them. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { channelsQuery, useRemoveChannel, useTestChannel } from "@/api/notifications"
import type { ChannelItem } from "@/api/schema"
import { Card } from "@/components/Card"
import { HandOver } from "@/components/HandOver"
import { notify } from "@/components/notices"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { Problem } from "@/components/Problem"
import { SureButton } from "@/components/SureButton"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import { ChannelDialog } from "./ChannelDialog"
import css from "./NotificationsPage.module.css"

interface Props {
  readonly isAdmin: boolean
  readonly isEngineer: boolean
}

export function Channels({ isAdmin, isEngineer }: Props) {
  const { data, error, refetch } = useQuery(channelsQuery)
  const test = useTestChannel()
  const remove = useRemoveChannel()
  const [open, setOpen] = useState<ChannelItem | "new" | null>(null)
  const [given, setGiven] = useState<{ readonly name: string; readonly secret: string } | null>(null)
  const tryOut = ({ id, name }: ChannelItem) =>
    test.mutate(id, {
      onSuccess: ({ took, said }) =>
        notify({
          text: say(took ? "notifications.channels.took" : "notifications.channels.refused", { name, said }),
          failed: !took,
        }),
    })
  const columns: PlainColumn<ChannelItem>[] = [
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
    {
      id: "kind",
      title: say("notifications.channels.kind"),
      cell: ({ kind }) => say(`notifications.channels.kinds.${kind}`),
    },
    {
      id: "leadsTo",
      title: say("notifications.channels.leadsTo"),
      wraps: true,
      cell: ({ leads_to }) => leads_to,
    },
    { id: "account", title: say("notifications.channels.account"), cell: ({ account }) => account },
    {
      id: "acts",
      title: "",
      cell: (channel) => (
        <>
          {isEngineer ? (
            <Button
              aria-label={say("notifications.channels.testOf", { name: channel.name })}
              loading={test.isPending && test.variables === channel.id}
              onClick={() => tryOut(channel)}
            >
              {say("notifications.channels.test")}
            </Button>
          ) : null}
          {isAdmin ? (
            <>
              <Button
                aria-label={say("notifications.changeOf", { name: channel.name })}
                onClick={() => setOpen(channel)}
              >
                {say("app.change")}
              </Button>
              <SureButton
                label={say("notifications.removeOf", { name: channel.name })}
                onSure={() =>
                  remove.mutate(channel, {
                    onSuccess: () =>
                      notify({ text: say("notifications.channel.removed", { name: channel.name }) }),
                  })
                }
              >
                {say("app.remove")}
              </SureButton>
            </>
          ) : null}
        </>
      ),
    },
  ]
  return (
    <Card
      className={css.whole}
      title={say("notifications.channels.title")}
      hint={say("notifications.channels.help")}
      aside={
        isAdmin ? (
          <Button onClick={() => setOpen("new")}>{say("notifications.channels.add")}</Button>
        ) : undefined
      }
    >
      {given ? (
        <HandOver
          text={say("notifications.channel.key", { name: given.name })}
          secret={given.secret}
          onDone={() => setGiven(null)}
        />
      ) : null}
      <Problem error={test.error ?? remove.error} />
      {error ? <Failed error={error} retry={refetch} /> : null}
      {data ? (
        <PlainTable
          label={say("notifications.channels.title")}
          columns={columns}
          rows={data.items}
          rowId={({ id }) => id}
          empty={say("notifications.channels.none")}
        />
      ) : error ? null : (
        <Skeleton rows={2} />
      )}
      {open ? (
        <ChannelDialog
          channel={open === "new" ? null : open}
          onClose={() => setOpen(null)}
          onKey={(name, secret) => setGiven({ name, secret })}
        />
      ) : null}
    </Card>
  )
}
