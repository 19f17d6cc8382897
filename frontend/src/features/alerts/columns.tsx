/** The columns of the alert table. */
import { Link } from "@tanstack/react-router"
import type { AlertItem } from "@/api/schema"
import { Age } from "@/components/Age"
import { alertText } from "@/components/alertText"
import type { Column } from "@/components/DataTable"
import { MARK_WIDTH, RowMark } from "@/components/RowMark"
import { say, sayOf } from "@/words/say"
import { moment, parse } from "@/words/times"
import css from "./columns.module.css"

export function alertColumns(toggle: (alert: AlertItem) => void): readonly Column<AlertItem>[] {
  return [
    {
      id: "mark",
      title: "",
      width: MARK_WIDTH,
      narrow: "mark",
      cell: (alert, isSelected) => (
        <RowMark
          priority={alert.priority}
          waiting={alert.state === "UNACK"}
          box={{
            label: say("alerts.select", { alert: alert.title, device: alert.device_id }),
            checked: isSelected,
            onChange: () => toggle(alert),
          }}
        />
      ),
    },
    {
      id: "device",
      title: say("alerts.device"),
      width: 152,
      grow: 1.2,
      narrow: "more",
      cell: ({ device_id }) => (
        <Link to="/devices/$id" params={{ id: device_id }} preload={false} className={css.device}>
          {device_id}
        </Link>
      ),
    },
    {
      id: "alert",
      title: say("alerts.alert"),
      width: 200,
      grow: 3,
      narrow: "main",
      cell: (alert) => <span className={css.text}>{alertText(alert)}</span>,
    },
    {
      id: "state",
      title: say("alerts.state"),
      width: 124,
      grow: 1.4,
      narrow: "end",
      cell: (alert) => <State alert={alert} />,
    },
    {
      id: "since",
      title: say("alerts.since"),
      width: 64,
      align: "right",
      narrow: "side",
      cell: ({ since }) => <Age at={since} bare />,
    },
    {
      id: "response",
      title: say("alerts.response"),
      width: 160,
      grow: 2.2,
      cell: ({ response }) => <span title={response}>{response}</span>,
    },
    {
      id: "consequence",
      title: say("alerts.consequence"),
      width: 140,
      grow: 2,
      cell: ({ consequence }) => <span title={consequence}>{consequence}</span>,
    },
    {
      id: "assigned",
      title: say("alerts.assigned"),
      width: 72,
      grow: 0.4,
      cell: ({ assignee }) => assignee,
    },
  ]
}

/** The state in plain words, with who or until when where that is known. */
export function State({ alert }: { readonly alert: AlertItem }) {
  const { state, acknowledged_by, shelved_until } = alert
  const word = sayOf("alerts.states", state.toLowerCase(), state)
  const until = parse(shelved_until)
  let more = ""
  if (state === "SHELVED")
    more = until === null ? say("alerts.untilReturn") : say("alerts.until", { time: moment(until) })
  else if (state === "ACKED" && acknowledged_by) more = say("alerts.by", { name: acknowledged_by })
  return (
    <span title={more ? `${word} ${more}` : word}>
      {word}
      {more ? <span className={css.more}> {more}</span> : null}
    </span>
  )
}
