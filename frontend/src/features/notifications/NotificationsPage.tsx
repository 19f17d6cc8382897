/** Who is told of alerts when nobody looks: routes, the channels they lead to, and what became of every message. */
import { useQuery } from "@tanstack/react-query"
import { getRouteApi, Link } from "@tanstack/react-router"
import { NOTIFICATION_TABS } from "@/addresses"
import { reaches } from "@/api/accounts"
import { notificationSummaryQuery } from "@/api/notifications"
import { useMe } from "@/api/session"
import { Empty } from "@/components/states"
import { Tabs } from "@/components/Tabs"
import tabs from "@/components/tabs.module.css"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { Channels } from "./Channels"
import { Deliveries } from "./Deliveries"
import css from "./NotificationsPage.module.css"
import { Routes } from "./Routes"

const page = getRouteApi("/notifications")

export function NotificationsPage() {
  const { tab = "routes", state } = page.useSearch()
  const role = useMe()?.role
  if (!reaches(role, "operator")) {
    return (
      <>
        <h1 className={css.title}>{say("notifications.title")}</h1>
        <Empty title={say("notifications.notForYou")}>{say("notifications.notForYouHelp")}</Empty>
      </>
    )
  }
  return (
    <>
      <header className={css.header}>
        <h1 className={css.title}>{say("notifications.title")}</h1>
        <span className={css.help}>{say("notifications.help")}</span>
        <Sums />
      </header>
      <Tabs label={say("notifications.title")}>
        {NOTIFICATION_TABS.map((each) => (
          <Link
            key={each}
            to="/notifications"
            search={{ tab: each }}
            className={tabs.tab}
            activeOptions={{ exact: true }}
            aria-current={each === tab ? "page" : undefined}
          >
            {say(`notifications.tabs.${each}`)}
          </Link>
        ))}
      </Tabs>
      {tab === "routes" ? <Routes isEngineer={reaches(role, "engineer")} /> : null}
      {tab === "channels" ? (
        <Channels isAdmin={role === "admin"} isEngineer={reaches(role, "engineer")} />
      ) : null}
      {tab === "deliveries" ? <Deliveries state={state} /> : null}
    </>
  )
}

/** How many messages stand how, and what keeps alerts from being told. Only who is for all sites is told. */
function Sums() {
  const isWhole = useMe()?.sites === null
  const { data } = useQuery({ ...notificationSummaryQuery, enabled: isWhole })
  if (!data) return null
  const { waiting = 0, failed = 0, delivered = 0 } = data.deliveries
  const stuck = data.hosts.filter(({ problem }) => problem !== "")
  return (
    <>
      <span className={css.sums}>
        {say("notifications.sums", {
          waiting: count(waiting),
          failed: count(failed),
          delivered: count(delivered),
        })}
      </span>
      {stuck.map(({ host, problem }) => (
        <p key={host} className={css.stuck} role="alert">
          {say("notifications.behind", { host, problem })}
        </p>
      ))}
    </>
  )
}
