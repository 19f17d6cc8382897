/** Which new alerts are heard, and how they sound. */
import { Button, Checkbox } from "@mantine/core"
import type { Priority } from "@/api/schema"
import { Card } from "@/components/Card"
import { chime } from "@/components/chime"
import { PriorityMark } from "@/components/PriorityMark"
import { PRIORITIES } from "@/components/tokens"
import { prefer, usePreferences } from "@/words/preferences"
import { say } from "@/words/say"
import css from "./SettingsPage.module.css"

export function SoundsCard() {
  const { sounds, muted } = usePreferences()
  const choose = (priority: Priority, isHeard: boolean) =>
    prefer({
      sounds: PRIORITIES.filter((each) => (each === priority ? isHeard : sounds.includes(each))),
    })
  return (
    <Card title={say("settings.sounds")} hint={say("settings.soundsHelp")}>
      <ul className={css.sounds}>
        {PRIORITIES.map((priority) => (
          <li key={priority}>
            <Checkbox
              checked={sounds.includes(priority)}
              onChange={({ target }) => choose(priority, target.checked)}
              label={
                <span className={css.priority}>
                  <PriorityMark priority={priority} labelled />
                  {say(`priority.${priority}`)}
                </span>
              }
            />
            <Button
              aria-label={say("settings.testOf", { priority: say(`priority.${priority}`) })}
              onClick={() => chime(priority)}
            >
              {say("settings.test")}
            </Button>
          </li>
        ))}
      </ul>
      <div className={css.foot}>
        <Checkbox
          checked={muted}
          onChange={({ target }) => prefer({ muted: target.checked })}
          label={say("settings.muted")}
        />
        <p className={css.help}>{say("settings.mutedHelp")}</p>
      </div>
    </Card>
  )
}
