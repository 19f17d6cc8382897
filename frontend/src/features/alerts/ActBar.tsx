/** What can be done with the alerts that are meant: those selected, else the current row. The answer to them is the filled one. */
import { Button } from "@mantine/core"
import type { AlertCommand, AlertItem } from "@/api/schema"
import { ActionBar } from "@/components/ActionBar"
import { ACT_NAMES, offered } from "@/components/alertacts/acts"
import { count } from "@/words/figures"
import { say } from "@/words/say"

const ANSWERS: readonly AlertCommand[] = [
  "acknowledge",
  "unshelve",
  "unsuppress",
  "return-to-service",
  "reset",
]
/** What stands there while nothing is meant, so that it is found. */
const IDLE: readonly AlertCommand[] = ["shelve", "acknowledge"]

interface Props {
  readonly selected: readonly AlertItem[]
  readonly meant: readonly AlertItem[]
  readonly isPending: boolean
  readonly onCommand: (command: AlertCommand) => void
  readonly onClear: () => void
}

export function ActBar({ selected, meant, isPending, onCommand, onClear }: Props) {
  const any = selected.length > 0
  const commands = any ? offered(selected) : meant.length > 0 ? answersTo(meant) : IDLE
  return (
    <ActionBar
      selected={any ? say("alerts.selected", { n: count(selected.length) }) : null}
      onClear={onClear}
    >
      {commands.map((command) => (
        <Button
          key={command}
          variant={ANSWERS.includes(command) ? "filled" : "default"}
          disabled={meant.length === 0 || isPending}
          onClick={() => onCommand(command)}
        >
          {command === "acknowledge" && any
            ? say("alerts.acknowledgeN", { n: count(selected.length) })
            : say(ACT_NAMES[command])}
        </Button>
      ))}
    </ActionBar>
  )
}

/** Of what the current row offers, the few that have a key or answer it; the rest is in its detail. */
function answersTo(alerts: readonly AlertItem[]): readonly AlertCommand[] {
  return offered(alerts).filter((command) => command === "shelve" || ANSWERS.includes(command))
}
