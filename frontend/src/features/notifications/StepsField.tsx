/** Whom a route tells: at once, and after how long the next, where nobody has acted. */
import { Button, NativeSelect, TextInput } from "@mantine/core"
import { ROLES } from "@/api/accounts"
import type { ChannelItem } from "@/api/schema"
import { Chip } from "@/components/Chip"
import { say } from "@/words/say"
import { replaced, type StepDraft } from "./draft"
import css from "./NotificationsPage.module.css"
import { receiverText } from "./routeText"

const MOST = 10
const LATER_MIN = 15

interface Props {
  readonly steps: readonly StepDraft[]
  readonly channels: readonly ChannelItem[]
  readonly onChange: (steps: readonly StepDraft[]) => void
}

export function StepsField({ steps, channels, onChange }: Props) {
  const put = (at: number, change: Partial<StepDraft>) =>
    onChange(replaced(steps, at, { ...(steps[at] as StepDraft), ...change }))
  const accounts = [...new Set(channels.map(({ account }) => account).filter(Boolean))].sort()
  const known = [
    ...channels.map(({ id }) => `channel:${id}`),
    ...accounts.map((name) => `account:${name}`),
    ...ROLES.map((name) => `role:${name}`),
  ]
  const later = String(Number(steps.at(-1)?.after ?? 0) + LATER_MIN)
  return (
    <fieldset className={css.group}>
      <legend>{say("notifications.route.steps")}</legend>
      <p className={css.note}>{say("notifications.route.stepsHelp")}</p>
      {steps.map(({ after, to }, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a step is what stands in this place
        <div key={at} className={css.step}>
          <TextInput
            className={css.after}
            label={say("notifications.route.after")}
            type="number"
            min={0}
            max={10_080}
            step="any"
            value={after}
            required
            onChange={({ target }) => put(at, { after: target.value })}
          />
          <div className={css.receivers}>
            {to.map((each) => (
              <Chip
                key={each}
                label={say("notifications.route.removeReceiver", { who: receiverText(each, channels) })}
                onClick={() => put(at, { to: to.filter((other) => other !== each) })}
              >
                {receiverText(each, channels)} ×
              </Chip>
            ))}
            <NativeSelect
              aria-label={say("notifications.route.addReceiver")}
              value=""
              data={[
                { value: "", label: say("notifications.route.addReceiver") },
                ...known
                  .filter((each) => !to.includes(each))
                  .map((value) => ({ value, label: receiverText(value, channels) })),
              ]}
              onChange={({ target }) => target.value && put(at, { to: [...to, target.value] })}
            />
          </div>
          {steps.length > 1 ? (
            <Button
              aria-label={say("notifications.route.removeStep")}
              onClick={() => onChange(replaced(steps, at, null))}
            >
              {say("app.remove")}
            </Button>
          ) : null}
        </div>
      ))}
      {steps.length < MOST ? (
        <Button className={css.add} onClick={() => onChange([...steps, { after: later, to: [] }])}>
          {say("notifications.route.addStep")}
        </Button>
      ) : null}
    </fieldset>
  )
}
