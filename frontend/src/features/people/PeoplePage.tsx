/** Who may come in: people's accounts, devices' keys, and what was done with either. */
import { useQuery } from "@tanstack/react-query"
import { auditQuery, reaches } from "@/api/accounts"
import { useMe } from "@/api/session"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { Empty, Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import { Accounts } from "./Accounts"
import { DeviceKeys } from "./DeviceKeys"
import css from "./people.module.css"
import { Scroll } from "./Scroll"

export function PeoplePage() {
  const me = useMe()
  if (!reaches(me?.role, "engineer")) {
    return (
      <>
        <h1 className={css.title}>{say("people.title")}</h1>
        <Empty title={say("people.notForYou")}>{say("people.notForYouHelp")}</Empty>
      </>
    )
  }
  const admin = me?.role === "admin"
  return (
    <>
      <h1 className={css.title}>{say("people.title")}</h1>
      {admin ? <Accounts me={me.name} /> : null}
      <DeviceKeys admin={admin} />
      {admin ? <Audit /> : null}
    </>
  )
}

function Audit() {
  const { data, error, refetch } = useQuery(auditQuery)
  return (
    <Card className={css.whole} title={say("people.audit")} hint={say("people.auditHelp")}>
      {error ? <Failed error={error} retry={refetch} /> : null}
      {data ? (
        <Scroll label={say("people.audit")}>
          <table className={css.table}>
            <thead>
              <tr>
                <th>{say("people.when")}</th>
                <th>{say("people.who")}</th>
                <th>{say("people.from")}</th>
                <th>{say("people.what")}</th>
                <th>{say("people.whom")}</th>
              </tr>
            </thead>
            <tbody>
              {data.items.map((line) => (
                <tr key={line.number}>
                  <td>
                    <Age at={line.at} />
                  </td>
                  <td>{line.by || say("app.unknown")}</td>
                  <td>{line.address}</td>
                  <td>{line.what}</td>
                  <td className={css.wide}>{line.subject}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      ) : error ? null : (
        <Skeleton rows={4} />
      )}
    </Card>
  )
}
