/** The columns of the journal: when, how urgent, which device, what, who, why. */
import { Link } from "@tanstack/react-router"
import type { FleetEvent } from "@/api/schema"
import type { Column } from "@/components/DataTable"
import { eventText, reasonOf } from "@/components/eventText"
import { PriorityMark } from "@/components/PriorityMark"
import { say } from "@/words/say"
import { clock, day, exact, parse } from "@/words/times"
import { measured } from "@/words/units"
import css from "./JournalPage.module.css"

export function journalColumns(): readonly Column<FleetEvent>[] {
  return [
    {
      id: "mark",
      title: "",
      width: 16,
      narrow: "mark",
      cell: ({ priority }) => (priority ? <PriorityMark priority={priority} /> : null),
    },
    {
      id: "time",
      title: say("device.time"),
      width: 158,
      narrow: "end",
      cell: ({ recorded_at }) => {
        const at = parse(recorded_at) ?? 0
        return (
          <time dateTime={recorded_at} title={exact(at)}>
            {day(at)} {clock(at)}
          </time>
        )
      },
    },
    {
      id: "device",
      title: say("alerts.device"),
      width: 150,
      grow: 1,
      narrow: "more",
      cell: ({ device_id }) => (
        <Link to="/devices/$id" params={{ id: device_id }} preload={false} className={css.device}>
          {device_id}
        </Link>
      ),
    },
    {
      id: "what",
      title: say("journal.what"),
      width: 220,
      grow: 2.2,
      narrow: "main",
      cell: (event) => <span className={css.what}>{eventText(event, event.title)}</span>,
    },
    {
      id: "value",
      title: say("device.value"),
      width: 80,
      align: "right",
      cell: ({ detail, unit }) =>
        typeof detail.value === "number" ? measured(detail.value, unit ?? "", 3) : "",
    },
    {
      id: "who",
      title: say("journal.who"),
      width: 100,
      grow: 0.8,
      narrow: "side",
      cell: ({ detail }) => String(detail.by ?? ""),
    },
    {
      id: "why",
      title: say("journal.why"),
      width: 160,
      grow: 2,
      cell: (event) => <span title={reasonOf(event)}>{reasonOf(event)}</span>,
    },
  ]
}
