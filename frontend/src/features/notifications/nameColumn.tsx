/** The first column of channels and of routes: what it is called, and whether it is switched off. */
import type { PlainColumn } from "@/components/PlainTable"
import { say } from "@/words/say"
import css from "./NotificationsPage.module.css"

interface Named {
  readonly name: string
  readonly enabled?: boolean
}

export function nameColumn<Row extends Named>(): PlainColumn<Row> {
  return {
    id: "name",
    title: say("notifications.name"),
    wraps: true,
    cell: ({ name, enabled }) => (
      <>
        {name} {enabled ? null : <span className={css.off}>{say("notifications.isOff")}</span>}
      </>
    ),
  }
}
