/** How the platform itself fares: every host with its state, how far history is behind it, and what is in the way. */
import { useQuery } from "@tanstack/react-query"
import { notificationSummaryQuery } from "@/api/notifications"
import { readyQuery } from "@/api/platform"
import type { FollowedItem, HostInfo } from "@/api/schema"
import { useMe } from "@/api/session"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import facts from "@/components/facts.module.css"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { Failed, Skeleton } from "@/components/states"
import { bytes, count } from "@/words/figures"
import { say, sayOf } from "@/words/say"
import css from "./admin.module.css"
import { lagOf } from "./lagOf"
import { SystemParts } from "./SystemParts"

export function SystemPage() {
  const { data, error, refetch } = useQuery(readyQuery)
  if (error && !data) return <Failed error={error} retry={refetch} />
  if (!data) return <Skeleton rows={6} />
  const { hosts, ready, as_of } = data
  const sum = (of: (host: HostInfo) => number | null) => hosts.reduce((all, host) => all + (of(host) ?? 0), 0)
  const damaged = hosts.reduce((all, { damage }) => all + damage.length, 0)
  return (
    <>
      <Card className={css.whole} title={say("system.title")}>
        <dl className={facts.facts}>
          <dt>{say("system.state")}</dt>
          <dd>
            {ready ? say("system.ready") : <span className={css.abnormal}>{say("system.notReady")}</span>}
          </dd>
          <dt>{say("system.hosts")}</dt>
          <dd>
            {say("system.hostsOf", {
              ready: count(hosts.filter(({ state }) => state === "ready").length),
              n: count(hosts.length),
            })}
          </dd>
          <dt>{say("system.devices")}</dt>
          <dd>{count(sum(({ devices }) => devices))}</dd>
          <dt>{say("system.storage")}</dt>
          <dd>{say("system.journals", { size: bytes(sum(({ journal_bytes }) => journal_bytes)) })}</dd>
          <dt>{say("system.damage")}</dt>
          <dd>
            {damaged === 0 ? (
              say("app.none")
            ) : (
              <span className={css.abnormal}>{say("system.damaged", { n: count(damaged) })}</span>
            )}
          </dd>
          <dt>{say("system.live")}</dt>
          <dd>
            <Age at={as_of} />
          </dd>
        </dl>
      </Card>
      <Hosts hosts={hosts} />
      <SystemParts />
      <Followed />
    </>
  )
}

function Hosts({ hosts }: { readonly hosts: readonly HostInfo[] }) {
  const columns: PlainColumn<HostInfo>[] = [
    { id: "name", title: say("system.host"), cell: ({ name }) => name },
    { id: "state", title: say("system.state"), wraps: true, cell: HostState },
    {
      id: "node",
      title: say("system.node"),
      cell: ({ node, folder }) => (node ? <span title={folder}>{node}</span> : null),
    },
    {
      id: "devices",
      title: say("system.devices"),
      align: "right",
      cell: ({ devices }) => count(devices),
    },
    { id: "cursor", title: say("system.cursor"), align: "right", cell: ({ cursor }) => count(cursor) },
    {
      id: "archived",
      title: say("system.archived"),
      align: "right",
      cell: ({ archived }) => count(archived),
    },
    { id: "lag", title: say("system.lag"), align: "right", cell: Lag },
    {
      id: "journal",
      title: say("system.journal"),
      align: "right",
      cell: ({ journal_bytes }) => bytes(journal_bytes),
    },
  ]
  return (
    <Card className={css.whole} title={say("system.hosts")} hint={say("system.hostsHelp")}>
      <PlainTable
        label={say("system.hosts")}
        columns={columns}
        rows={hosts}
        rowId={({ name }) => name}
        empty={say("system.noHost")}
      />
    </Card>
  )
}

function HostState({ state, reason, damage }: HostInfo) {
  const text = sayOf("system.states", state, state)
  return (
    <>
      {state === "ready" ? text : <span className={css.abnormal}>{text}</span>}{" "}
      <span className={css.detail}>{[reason, ...damage].filter(Boolean).join("; ")}</span>
    </>
  )
}

function Lag(host: HostInfo) {
  const lag = lagOf(host)
  if (lag === null) return say(host.archived === null ? "system.notFollowed" : "app.unknown")
  return lag.isLong ? <span className={css.abnormal}>{count(lag.entries)}</span> : count(lag.entries)
}

/** How far the alerts of each host are followed, so that people are told. Only who is for all sites may see it. */
function Followed() {
  const isWhole = useMe()?.sites === null
  const { data } = useQuery({ ...notificationSummaryQuery, enabled: isWhole })
  if (!data || data.hosts.length === 0) return null
  const columns: PlainColumn<FollowedItem>[] = [
    { id: "host", title: say("system.host"), cell: ({ host }) => host },
    { id: "cursor", title: say("system.toldUpTo"), align: "right", cell: ({ cursor }) => count(cursor) },
    { id: "at", title: say("system.told"), cell: ({ at }) => <Age at={at} /> },
    {
      id: "problem",
      title: say("system.inTheWay"),
      wraps: true,
      cell: ({ problem }) => (problem ? <span className={css.abnormal}>{problem}</span> : say("app.none")),
    },
  ]
  return (
    <Card className={css.whole} title={say("system.followed")} hint={say("system.followedHelp")}>
      <PlainTable
        label={say("system.followed")}
        columns={columns}
        rows={data.hosts}
        rowId={({ host }) => host}
        empty={say("app.none")}
      />
    </Card>
  )
}
