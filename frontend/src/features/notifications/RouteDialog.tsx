/** A route, made or changed: what it takes, when, and whom it tells. */

import { Button, Checkbox, NativeSelect, TextInput } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { type FormEvent, useState } from "react"
import { ApiError } from "@/api/client"
import { useSaveRoute } from "@/api/notifications"
import { summaryQuery } from "@/api/queries"
import type { ChannelItem, NotificationRouteItem, Priority } from "@/api/schema"
import { Dialog } from "@/components/Dialog"
import { notify } from "@/components/notices"
import { Problem } from "@/components/Problem"
import { PRIORITIES } from "@/components/tokens"
import { say } from "@/words/say"
import { zoneName } from "@/words/times"
import { draftOf, problemOf, type RouteDraft, routeOf } from "./draft"
import { HoursField } from "./HoursField"
import css from "./NotificationsPage.module.css"
import { StepsField } from "./StepsField"

const UNTILS = ["acknowledged", "returned"] as const

interface Props {
  readonly route: NotificationRouteItem | null
  readonly channels: readonly ChannelItem[]
  readonly onClose: () => void
}

export function RouteDialog({ route, channels, onClose }: Props) {
  const [draft, setDraft] = useState(() => draftOf(route, zoneName()))
  const [tried, setTried] = useState(false)
  const save = useSaveRoute()
  const fleet = useQuery(summaryQuery).data
  const put = (change: Partial<RouteDraft>) => setDraft((before) => ({ ...before, ...change }))
  const problem = problemOf(draft)
  const lapsed = save.error instanceof ApiError && save.error.status === 412
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setTried(true)
    if (problem) return
    save.mutate(
      { kept: route, route: routeOf(draft) },
      {
        onSuccess: ({ name }) => {
          notify({ text: say("notifications.route.saved", { name }) })
          onClose()
        },
      },
    )
  }
  const priorities = PRIORITIES.map((value) => ({ value, label: say(`priority.${value}`) }))
  return (
    <Dialog
      size="lg"
      onClose={onClose}
      title={route ? say("notifications.route.change", { name: route.name }) : say("notifications.route.add")}
    >
      <form className={css.form} onSubmit={submit}>
        <TextInput
          label={say("notifications.name")}
          value={draft.name}
          onChange={({ target }) => put({ name: target.value })}
          required
          maxLength={100}
          data-autofocus
          autoComplete="off"
        />
        <Checkbox
          label={say("notifications.enabled")}
          checked={draft.enabled}
          onChange={({ target }) => put({ enabled: target.checked })}
        />
        <div className={css.pair}>
          <NativeSelect
            label={say("notifications.route.priority")}
            value={draft.priority}
            data={priorities}
            onChange={({ target }) => put({ priority: target.value as Priority })}
          />
          {(["sites", "types", "rules"] as const).map((field) => (
            <TextInput
              key={field}
              label={say(`notifications.route.${field}`)}
              placeholder={say("notifications.route.any")}
              title={say("notifications.route.commas")}
              list={`route-${field}`}
              value={draft[field]}
              onChange={({ target }) => put({ [field]: target.value })}
              autoComplete="off"
            />
          ))}
        </div>
        <datalist id="route-sites">
          {fleet?.sites.map(({ site }) => (
            <option key={site} value={site} />
          ))}
        </datalist>
        <datalist id="route-types">
          {fleet?.types.map(({ type }) => (
            <option key={type} value={type} />
          ))}
        </datalist>
        <StepsField steps={draft.steps} channels={channels} onChange={(steps) => put({ steps })} />
        <HoursField
          title={say("notifications.route.schedule")}
          help={say("notifications.route.scheduleHelp")}
          hours={draft.schedule}
          onChange={(schedule) => put({ schedule })}
        />
        <HoursField
          title={say("notifications.route.quiet")}
          help={say("notifications.route.quietHelp")}
          hours={draft.quiet}
          onChange={(quiet) => put({ quiet })}
        />
        <div className={css.pair}>
          {draft.quiet.length > 0 ? (
            <NativeSelect
              label={say("notifications.route.quietPriority")}
              value={draft.quietPriority}
              data={priorities}
              onChange={({ target }) => put({ quietPriority: target.value as Priority })}
            />
          ) : null}
          <TextInput
            label={say("notifications.route.zone")}
            value={draft.zone}
            onChange={({ target }) => put({ zone: target.value })}
            required
            maxLength={60}
          />
          <NativeSelect
            label={say("notifications.route.until")}
            value={draft.until}
            data={UNTILS.map((value) => ({ value, label: say(`notifications.route.untils.${value}`) }))}
            onChange={({ target }) => put({ until: target.value as RouteDraft["until"] })}
          />
          <TextInput
            label={say("notifications.route.repeat")}
            type="number"
            min={0}
            max={10_080}
            step="any"
            value={draft.repeat}
            onChange={({ target }) => put({ repeat: target.value })}
            required
          />
        </div>
        <Problem
          error={
            tried && problem
              ? new Error(say(problem))
              : lapsed
                ? new Error(say("notifications.route.lapsed"))
                : save.error
          }
        />
        <div className={css.foot}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" loading={save.isPending}>
            {say("notifications.route.save")}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
