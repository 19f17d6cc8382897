/** The columns of the table of recommendations. */
import { Link } from "@tanstack/react-router"
import type { Recommendation } from "@/api/schema"
import { amount, decisionText, dueText, laterText, modeText } from "@/components/advice/adviceText"
import type { Column } from "@/components/DataTable"
import { RowMark } from "@/components/RowMark"
import { say } from "@/words/say"
import { exact, parse } from "@/words/times"
import css from "./RecommendationsPage.module.css"

const FIGURE = 76

export function adviceColumns(): readonly Column<Recommendation>[] {
  return [
    {
      id: "mark",
      title: "",
      width: 20,
      narrow: "mark",
      cell: ({ priority }) => <RowMark priority={priority} waiting={false} />,
    },
    {
      id: "device",
      title: say("advice.device"),
      width: 140,
      grow: 1.2,
      narrow: "more",
      cell: ({ device_id }) => (
        <Link to="/devices/$id" params={{ id: device_id }} preload={false} className={css.device}>
          {device_id}
        </Link>
      ),
    },
    {
      id: "mode",
      title: say("advice.mode"),
      width: 160,
      grow: 2,
      narrow: "main",
      cell: (item) => <span className={css.mode}>{modeText(item)}</span>,
    },
    {
      id: "action",
      title: say("advice.action"),
      width: 160,
      grow: 2,
      cell: ({ actions: [first] }) => <span title={first?.title}>{first?.title ?? "–"}</span>,
    },
    {
      id: "confidence",
      title: say("advice.confidenceTitle"),
      width: 84,
      cell: ({ confidence }) => say(`advice.confidence.${confidence}`),
    },
    {
      id: "nothing",
      title: say("advice.nothing"),
      width: FIGURE,
      align: "right",
      cell: ({ costs }) => amount(costs?.nothing),
    },
    {
      id: "later",
      title: say("advice.later"),
      width: FIGURE,
      align: "right",
      cell: (item) => (
        <span title={item.costs ? laterText(item) : undefined}>{amount(item.costs?.later)}</span>
      ),
    },
    {
      id: "now",
      title: say("advice.now"),
      width: FIGURE,
      align: "right",
      cell: ({ costs }) => amount(costs?.now),
    },
    {
      id: "due",
      title: say("advice.due"),
      width: 80,
      align: "right",
      narrow: "side",
      cell: ({ due }) => <Due at={due} />,
    },
    {
      id: "decision",
      title: say("advice.decision"),
      width: 128,
      grow: 1,
      narrow: "end",
      cell: (item) => <span title={decisionText(item)}>{decisionText(item)}</span>,
    },
  ]
}

function Due({ at }: { readonly at: string | null }) {
  const time = parse(at)
  return (
    <span title={time === null ? undefined : exact(time)} className={css.due}>
      {dueText(at)}
    </span>
  )
}
