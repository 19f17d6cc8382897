/** One alert opened in its row: why it matters, what to do, what was done, and every act it can take. */
import { Button } from "@mantine/core"
import { Link } from "@tanstack/react-router"
import type { AlertCommand, AlertItem } from "@/api/schema"
import { Age } from "@/components/Age"
import { ACT_NAMES, offered } from "@/components/alertacts/acts"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { measured } from "@/words/units"
import css from "./AlertDetail.module.css"
import { AlertStory } from "./AlertStory"

interface Props {
  readonly alert: AlertItem
  readonly mayAct: boolean
  readonly onCommand: (command: AlertCommand) => void
}

export function AlertDetail({ alert, mayAct, onCommand }: Props) {
  const { consequence, response, value, limit, unit, occurrence, rule, type, since } = alert
  return (
    <div className={css.detail}>
      <dl className={css.facts}>
        <Fact name={say("alerts.response")} wide>
          {response}
        </Fact>
        <Fact name={say("alerts.consequence")} wide>
          {consequence}
        </Fact>
        <Fact name={say("device.value")}>
          {limit === null
            ? measured(value, unit)
            : say("alerts.valueLimit", { value: measured(value, unit), limit: measured(limit, unit) })}
        </Fact>
        <Fact name={say("alerts.since")}>
          <Age at={since} />
        </Fact>
        <Fact name={say("alerts.rule")}>
          <Link to="/alerts/rules/$type" params={{ type }} search={{ rule }} className={css.link}>
            {rule}
          </Link>
        </Fact>
        <Fact name={say("alerts.occurrence")}>{count(occurrence)}</Fact>
        <Fact name={say("alerts.acknowledgedBy")}>{alert.acknowledged_by}</Fact>
        <Fact name={say("alerts.assigned")}>{alert.assignee}</Fact>
      </dl>
      <AlertStory alert={alert} />
      <div className={css.acts}>
        {(mayAct ? offered([alert]) : []).map((command) => (
          <Button key={command} onClick={() => onCommand(command)}>
            {say(ACT_NAMES[command])}
          </Button>
        ))}
        <Link to="/devices/$id" params={{ id: alert.device_id }} className={css.go}>
          {say("alerts.goToDevice")} →
        </Link>
      </div>
    </div>
  )
}

function Fact({
  name,
  wide,
  children,
}: {
  readonly name: string
  readonly wide?: boolean
  readonly children: React.ReactNode
}) {
  return (
    <div data-wide={wide}>
      <dt>{name}</dt>
      <dd>{children || "–"}</dd>
    </div>
  )
}
