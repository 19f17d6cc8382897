/** Stretches of a week: days, from, to. */
import { Button, TextInput } from "@mantine/core"
import type { Hours } from "@/api/schema"
import { Chip } from "@/components/Chip"
import { say } from "@/words/say"
import { DAYS, replaced } from "./draft"
import css from "./NotificationsPage.module.css"

interface Props {
  readonly title: string
  readonly help: string
  readonly hours: readonly Hours[]
  readonly onChange: (hours: readonly Hours[]) => void
}

const NEW: Hours = { days: [], start: "22:00", end: "06:00" }

export function HoursField({ title, help, hours, onChange }: Props) {
  const put = (at: number, change: Partial<Hours>) =>
    onChange(replaced(hours, at, { ...(hours[at] as Hours), ...change }))
  return (
    <fieldset className={css.group}>
      <legend>{title}</legend>
      <p className={css.note}>{help}</p>
      {hours.map(({ days = [], start, end }, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a stretch has no name; it is what stands in this place
        <div key={at} className={css.hours}>
          <div className={css.days}>
            {DAYS.map((day) => (
              <Chip
                key={day}
                pressed={days.length === 0 || days.includes(day)}
                onClick={() => put(at, { days: toggled(days, day) })}
              >
                {say(`notifications.days.${day}`)}
              </Chip>
            ))}
          </div>
          <TextInput
            className={css.time}
            label={say("notifications.route.start")}
            value={start}
            pattern="([01][0-9]|2[0-3]):[0-5][0-9]"
            required
            onChange={({ target }) => put(at, { start: target.value })}
          />
          <TextInput
            className={css.time}
            label={say("notifications.route.end")}
            value={end}
            pattern="([01][0-9]|2[0-3]):[0-5][0-9]|24:00"
            required
            onChange={({ target }) => put(at, { end: target.value })}
          />
          <Button
            aria-label={say("notifications.route.removeHours")}
            onClick={() => onChange(replaced(hours, at, null))}
          >
            {say("app.remove")}
          </Button>
        </div>
      ))}
      <Button className={css.add} onClick={() => onChange([...hours, NEW])}>
        {say("notifications.route.addHours")}
      </Button>
    </fieldset>
  )
}

/** None means all of them, so the first that is pressed out leaves the six others. */
function toggled(days: readonly (typeof DAYS)[number][], day: (typeof DAYS)[number]) {
  const all = days.length === 0 ? DAYS : days
  const next = DAYS.filter((each) => (each === day ? !all.includes(day) : all.includes(each)))
  return next.length === DAYS.length ? [] : next
}
