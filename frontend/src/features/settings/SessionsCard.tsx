/** Where one is logged in, and logging out there. */
import { useQuery } from "@tanstack/react-query"
import type { SessionItem } from "@/api/schema"
import { sessionsQuery, useEndSession } from "@/api/session"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { Problem } from "@/components/Problem"
import { SureButton } from "@/components/SureButton"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import { browserOf } from "./browserOf"
import css from "./SettingsPage.module.css"

export function SessionsCard() {
  const { data, error, refetch } = useQuery(sessionsQuery)
  const end = useEndSession()
  const columns: PlainColumn<SessionItem>[] = [
    {
      id: "agent",
      title: say("settings.where"),
      cell: ({ kind, agent }) => (
        <span title={agent}>
          {kind === "program" ? say("settings.program") : browserOf(agent) || say("app.unknown")}
        </span>
      ),
    },
    { id: "address", title: say("settings.address"), cell: ({ address }) => address },
    { id: "made", title: say("settings.since"), cell: ({ made }) => <Age at={made} /> },
    { id: "seen", title: say("settings.seen"), cell: ({ seen }) => <Age at={seen} /> },
    {
      id: "acts",
      title: "",
      cell: ({ id, is_this, agent }) =>
        is_this ? (
          say("settings.thisOne")
        ) : (
          <SureButton
            label={say("settings.endOf", { what: browserOf(agent) || id })}
            onSure={() => end.mutate(id)}
          >
            {say("settings.end")}
          </SureButton>
        ),
    },
  ]
  return (
    <Card className={css.whole} title={say("settings.sessions")} hint={say("settings.sessionsHelp")}>
      <Problem error={end.error} />
      {error ? <Failed error={error} retry={refetch} /> : null}
      {data ? (
        <PlainTable
          label={say("settings.sessions")}
          columns={columns}
          rows={data.items}
          rowId={({ id }) => id}
          empty={say("app.none")}
        />
      ) : error ? null : (
        <Skeleton rows={2} />
      )}
    </Card>
  )
}
