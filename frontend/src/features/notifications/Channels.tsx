/** The channels: ways to reach somebody. Admins make them, since they lead out of the platform; engineers try them. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { channelsQuery, useRemoveChannel, useTestChannel } from "@/api/notifications"
import type { ChannelItem } from "@/api/schema"
import { HandOver } from "@/components/HandOver"
import { notify } from "@/components/notices"
import type { PlainColumn } from "@/components/PlainTable"
import { Problem } from "@/components/Problem"
import { TableCard } from "@/components/TableCard"
import { say } from "@/words/say"
import { ChannelDialog } from "./ChannelDialog"
import { nameColumn } from "./nameColumn"
import { RowActs } from "./RowActs"

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
    nameColumn(),
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
            <RowActs
              name={channel.name}
              onChange={() => setOpen(channel)}
              onRemove={() =>
                remove.mutate(channel, {
                  onSuccess: () =>
                    notify({ text: say("notifications.channel.removed", { name: channel.name }) }),
                })
              }
            />
          ) : null}
        </>
      ),
    },
  ]
  return (
    <>
      <TableCard
        title={say("notifications.channels.title")}
        hint={say("notifications.channels.help")}
        aside={
          isAdmin ? (
            <Button onClick={() => setOpen("new")}>{say("notifications.channels.add")}</Button>
          ) : undefined
        }
        columns={columns}
        rows={data?.items}
        rowId={({ id }) => id}
        empty={say("notifications.channels.none")}
        error={error}
        retry={refetch}
      >
        {given ? (
          <HandOver
            text={say("notifications.channel.key", { name: given.name })}
            secret={given.secret}
            onDone={() => setGiven(null)}
          />
        ) : null}
        <Problem error={test.error ?? remove.error} />
      </TableCard>
      {open ? (
        <ChannelDialog
          channel={open === "new" ? null : open}
          onClose={() => setOpen(null)}
          onKey={(name, secret) => setGiven({ name, secret })}
        />
      ) : null}
    </>
  )
}
