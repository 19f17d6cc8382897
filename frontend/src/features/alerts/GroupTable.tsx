/** Alerts by what they have in common: how many, how urgent, and the one that was first. A row opens into its alerts. */
import { useQuery } from "@tanstack/react-query"
import { Link, useNavigate } from "@tanstack/react-router"
import { useMemo } from "react"
import type { AlertSearch } from "@/addresses"
import { type AlertChoice, alertGroupsQuery } from "@/api/queries"
import type { AlertGroup, AlertGrouping } from "@/api/schema"
import { Age } from "@/components/Age"
import { ByPriority } from "@/components/alertacts/ByPriority"
import { alertText } from "@/components/alertText"
import { type Column, DataTable } from "@/components/DataTable"
import { PriorityMark } from "@/components/PriorityMark"
import { Empty, Failed, Skeleton } from "@/components/states"
import { PRIORITIES } from "@/components/tokens"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import css from "./GroupTable.module.css"

interface Props {
  readonly by: Exclude<AlertGrouping, "device">
  readonly choice: AlertChoice
}

export function GroupTable({ by, choice }: Props) {
  const navigate = useNavigate({ from: "/alerts" })
  const { data, error, refetch } = useQuery(alertGroupsQuery(choice, by))
  const columns = useMemo(() => columnsOf(by), [by])
  if (error && !data) return <Failed error={error} retry={refetch} />
  if (!data) return <Skeleton rows={12} />
  return (
    <DataTable
      label={say("alerts.groupTable")}
      columns={columns}
      rows={data.items}
      rowId={keyOf}
      total={data.items.length}
      onOpen={(group) => navigate({ search: (before) => ({ ...before, ...within(group), group: "none" }) })}
      isStrong={({ unacknowledged }) => unacknowledged > 0}
      rowHeight={40}
      empty={<Empty title={say("alerts.noneFiltered")}>{say("alerts.noneHelp")}</Empty>}
    />
  )
}

/** The part of an address that shows the alerts of a group alone. */
function within({ rule, type, site }: AlertGroup): Partial<AlertSearch> {
  return { ...(rule ? { rule } : {}), ...(type ? { type } : {}), ...(site ? { site } : {}) }
}

function keyOf({ rule, type, site }: AlertGroup): string {
  return JSON.stringify([rule, type, site])
}

function worst({ counts }: AlertGroup) {
  return PRIORITIES.find((priority) => counts[priority] > 0) ?? "low"
}

function nameOf({ rule, type, site, first }: AlertGroup): string {
  const what = rule ? first.title || rule : (type ?? "")
  const place = site || say("alerts.noSite")
  if (!what) return place
  return site === null ? what : `${what}, ${place}`
}

function columnsOf(by: Props["by"]): readonly Column<AlertGroup>[] {
  return [
    {
      id: "mark",
      title: "",
      width: 16,
      narrow: "mark",
      cell: (group) => (
        <PriorityMark
          priority={worst(group)}
          waiting={group.unacknowledged > 0 && group.counts.critical > 0}
        />
      ),
    },
    {
      id: "group",
      title: say(`alerts.groups.${by}`),
      width: 180,
      grow: 2,
      narrow: "main",
      cell: (group) => <span className={css.name}>{nameOf(group)}</span>,
    },
    {
      id: "total",
      title: say("alerts.title"),
      width: 60,
      align: "right",
      narrow: "side",
      named: true,
      cell: ({ total }) => count(total),
    },
    {
      id: "waiting",
      title: say("alerts.waiting"),
      width: 110,
      align: "right",
      cell: ({ unacknowledged }) => count(unacknowledged),
    },
    {
      id: "devices",
      title: say("devices.title"),
      width: 64,
      align: "right",
      cell: ({ devices }) => count(devices),
    },
    {
      id: "counts",
      title: say("alerts.byPriority"),
      width: 190,
      grow: 1.4,
      cell: ({ counts }) => <ByPriority counts={counts} />,
    },
    {
      id: "first",
      title: say("alerts.firstOut"),
      width: 220,
      grow: 2.4,
      narrow: "more",
      cell: ({ first }) => (
        <>
          <Link to="/devices/$id" params={{ id: first.device_id }} preload={false} className={css.device}>
            {first.device_id}
          </Link>{" "}
          {alertText(first)}
        </>
      ),
    },
    {
      id: "since",
      title: say("alerts.since"),
      width: 64,
      align: "right",
      narrow: "end",
      cell: ({ first }) => <Age at={first.since} bare />,
    },
  ]
}
