/** A channel, made or changed. Where it leads is a secret that is never shown again. */

import { Button, Checkbox, NativeSelect, TextInput } from "@mantine/core"
import { type FormEvent, useState } from "react"
import { useAddChannel, useChangeChannel } from "@/api/notifications"
import type { ChannelItem, ChannelMade } from "@/api/schema"
import { Dialog } from "@/components/Dialog"
import { names } from "@/components/names"
import { notify } from "@/components/notices"
import { Problem } from "@/components/Problem"
import { say } from "@/words/say"
import css from "./NotificationsPage.module.css"

const KINDS = ["webhook", "email", "apprise"] as const

interface Props {
  readonly channel: ChannelItem | null
  readonly onClose: () => void
  /** A key to sign with was made. */
  readonly onKey: (name: string, key: string) => void
}

export function ChannelDialog({ channel, onClose, onKey }: Props) {
  const [kind, setKind] = useState<ChannelItem["kind"]>(channel?.kind ?? "webhook")
  const add = useAddChannel()
  const change = useChangeChannel()
  const done = {
    onSuccess: ({ channel: { name }, key }: ChannelMade) => {
      notify({ text: say("notifications.channel.saved", { name }) })
      if (key) onKey(name, key)
      onClose()
    },
  }
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const text = (field: string) => String(form.get(field) ?? "").trim()
    const common = { name: text("name"), account: text("account") }
    const where = kind === "email" ? { to: names(text("to")) } : { url: text("url") }
    if (!channel) {
      add.mutate({ ...common, kind, ...where }, done)
      return
    }
    const isSaid = kind === "email" ? text("to") !== "" : text("url") !== ""
    const wanted = {
      ...common,
      enabled: form.has("enabled"),
      ...(isSaid ? where : {}),
      ...(form.has("newKey") ? { new_key: true } : {}),
    }
    change.mutate({ kept: channel, change: wanted }, done)
  }
  return (
    <Dialog
      onClose={onClose}
      title={
        channel
          ? say("notifications.channel.change", { name: channel.name })
          : say("notifications.channel.add")
      }
    >
      <form className={css.form} onSubmit={submit}>
        <TextInput
          name="name"
          label={say("notifications.name")}
          defaultValue={channel?.name}
          required
          maxLength={100}
          data-autofocus
          autoComplete="off"
        />
        {channel ? (
          <Checkbox name="enabled" label={say("notifications.enabled")} defaultChecked={channel.enabled} />
        ) : (
          <NativeSelect
            label={say("notifications.channels.kind")}
            value={kind}
            data={KINDS.map((value) => ({ value, label: say(`notifications.channels.kinds.${value}`) }))}
            onChange={({ target }) => setKind(target.value as ChannelItem["kind"])}
          />
        )}
        {kind === "email" ? (
          <TextInput
            name="to"
            label={say("notifications.channel.to")}
            description={channel ? say("notifications.channel.urlStays") : undefined}
            required={!channel}
            autoComplete="off"
          />
        ) : (
          <TextInput
            name="url"
            label={say("notifications.channel.url")}
            description={channel ? say("notifications.channel.urlStays") : undefined}
            placeholder={
              kind === "webhook" ? "https://hooks.example.org/in/4711" : "ntfys://ntfy.example.org/plant"
            }
            required={!channel}
            maxLength={2000}
            autoComplete="off"
          />
        )}
        <TextInput
          name="account"
          label={say("notifications.channel.account")}
          description={say("notifications.channel.accountHelp")}
          defaultValue={channel?.account}
          maxLength={100}
          autoComplete="off"
        />
        {channel && kind === "webhook" ? (
          <Checkbox name="newKey" label={say("notifications.channel.newKey")} />
        ) : null}
        <Problem error={add.error ?? change.error} />
        <div className={css.foot}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" loading={add.isPending || change.isPending}>
            {say("notifications.channel.save")}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
