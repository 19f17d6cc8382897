/** One alert opened in its row: why it matters, what to do, and every act it can take. */
import { Button } from "@mantine/core"
import { Link } from "@tanstack/react-router"
import type { AlertCommand, AlertItem } from "@/api/schema"
import { Age } from "@/components/Age"
import { count, quantity } from "@/words/figures"
import { type Phrase, say } from "@/words/say"
import css from "./AlertDetail.module.css"
import type { Question } from "./dialogs"

interface Props {
  readonly alert: AlertItem
  readonly onCommand: (command: AlertCommand) => void
  readonly onAsk: (question: Question) => void
}

export function AlertDetail({ alert, onCommand, onAsk }: Props) {
  const {
    consequence,
    response,
    value,
    limit,
    unit,
    occurrence,
    rule,
    acknowledged_by,
    assignee,
    comments,
    since,
  } = alert
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
            ? quantity(value, unit)
            : say("alerts.valueLimit", { value: quantity(value, unit), limit: quantity(limit, unit) })}
        </Fact>
        <Fact name={say("alerts.since")}>
          <Age at={since} />
        </Fact>
        <Fact name={say("alerts.rule")}>{rule}</Fact>
        <Fact name={say("alerts.occurrence")}>{count(occurrence)}</Fact>
        <Fact name={say("alerts.acknowledgedBy")}>{acknowledged_by ?? "–"}</Fact>
        <Fact name={say("alerts.assigned")}>{assignee ?? "–"}</Fact>
        <Fact name={say("alerts.comments")}>{count(comments)}</Fact>
      </dl>
      <div className={css.acts}>
        {commandsFor(alert.state).map(([command, phrase]) => (
          <Button key={command} onClick={() => onCommand(command)}>
            {say(phrase)}
          </Button>
        ))}
        {isShelvable(alert.state) ? (
          <Button onClick={() => onAsk("shelve")}>{say("alerts.shelve")}</Button>
        ) : null}
        <Button onClick={() => onAsk("assign")}>{say("alerts.assign")}</Button>
        <Button onClick={() => onAsk("comment")}>{say("alerts.comment")}</Button>
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

/** What can be done without a question, by state. */
function commandsFor(state: string): readonly (readonly [AlertCommand, Phrase])[] {
  switch (state) {
    case "UNACK":
    case "RTN_UNACK":
    case "LATCHED_UNACK":
      return [
        ["acknowledge", "alerts.acknowledge"],
        ["suppress", "alerts.suppress"],
        ["remove-from-service", "alerts.remove"],
      ]
    case "LATCHED_ACKED":
      return [["reset", "alerts.reset"]]
    case "SHELVED":
      return [["unshelve", "alerts.unshelve"]]
    case "SUPPRESSED_BY_DESIGN":
      return [["unsuppress", "alerts.unsuppress"]]
    case "OUT_OF_SERVICE":
      return [["return-to-service", "alerts.returnToService"]]
    default:
      return [
        ["suppress", "alerts.suppress"],
        ["remove-from-service", "alerts.remove"],
      ]
  }
}

function isShelvable(state: string): boolean {
  return !["SHELVED", "SUPPRESSED_BY_DESIGN", "OUT_OF_SERVICE"].includes(state)
}
