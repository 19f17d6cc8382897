/** The alert console: what stands, what it asks of whom, and the few keys and buttons that answer it. */
import { Button, Checkbox, NativeSelect } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { getRouteApi, useNavigate } from "@tanstack/react-router"
import { type ReactNode, useMemo, useState } from "react"
import { ALERT_GROUPS, ALERT_TABS, type AlertSearch } from "@/addresses"
import { reaches } from "@/api/accounts"
import { notesNeededQuery } from "@/api/commands"
import type { AlertCommand, AlertItem, AlertOrder } from "@/api/schema"
import { useMe } from "@/api/session"
import { AlertNav } from "@/components/AlertNav"
import { asksFirst } from "@/components/alertacts/acts"
import { Chip } from "@/components/Chip"
import { DataTable } from "@/components/DataTable"
import page from "@/components/page.module.css"
import { Empty, Failed, Skeleton } from "@/components/states"
import { useKeys } from "@/components/useKeys"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { now } from "@/words/times"
import { ActBar } from "./ActBar"
import { AlertDetail } from "./AlertDetail"
import css from "./AlertsPage.module.css"
import { alertColumns } from "./columns"
import { FloodLine } from "./FloodLine"
import { GroupTable } from "./GroupTable"
import { Narrowing } from "./Narrowing"
import { PriorityChips } from "./PriorityChips"
import { type Question, Questions } from "./Questions"
import { useAlertActs } from "./useAlertActs"
import { matchOf, narrowingOf, statesOf, useAlerts, useFlood } from "./useAlerts"

const route = getRouteApi("/alerts")

export function AlertsPage() {
  const search = route.useSearch()
  const navigate = useNavigate({ from: "/alerts" })
  const go = (next: Partial<AlertSearch>) => navigate({ search: (before) => ({ ...before, ...next }) })
  const tab = search.tab ?? "unacknowledged"
  const list = useAlerts(search)
  const flood = useFlood()
  const group = search.group ?? (flood?.flooded_since ? "cause" : "none")
  const { items, selected, selectedIds, toggle, select, clear } = list
  const { act, isPending } = useAlertActs()
  const { data: needed } = useQuery(notesNeededQuery)
  const mayAct = reaches(useMe()?.role, "operator")
  const [current, setCurrent] = useState<string | null>(null)
  const [opened, setOpened] = useState<string | null>(null)
  const [question, setQuestion] = useState<Question | null>(null)

  const row = items.find(({ id }) => id === current)
  const meant = selected.length > 0 ? selected : row ? [row] : []
  const send = (command: AlertCommand, alerts: readonly AlertItem[], order?: AlertOrder) =>
    act({ command, alerts, order, after: selected.length > 0 ? clear : undefined })
  const command = (name: AlertCommand, alerts: readonly AlertItem[] = meant) => {
    if (!mayAct || alerts.length === 0 || group !== "none") return
    if (asksFirst(name, alerts, needed)) setQuestion({ command: name, alerts })
    else send(name, alerts)
  }

  useKeys({
    a: () => command("acknowledge"),
    s: () => command("shelve"),
    d: () => row && navigate({ to: "/devices/$id", params: { id: row.device_id } }),
  })

  const every = items.length > 0 && items.every(({ id }) => selectedIds.has(id))
  const columns = useMemo(() => alertColumns(toggle), [toggle])
  const mark = (
    <Checkbox
      aria-label={say("alerts.selectAll", { n: items.length })}
      checked={every}
      indeterminate={!every && selectedIds.size > 0}
      onChange={() => (every ? clear() : select(items))}
    />
  )

  let body: ReactNode
  if (group !== "none")
    body = <GroupTable by={group} choice={{ state: statesOf(search), ...narrowingOf(search) }} />
  else if (list.error) body = <Failed error={list.error} retry={list.retry} />
  else if (list.isPending) body = <Skeleton rows={12} />
  else
    body = (
      <DataTable
        label={say("alerts.table")}
        columns={columns}
        headers={{ mark }}
        rows={items}
        rowId={idOf}
        total={list.total}
        onNearEnd={list.fetchMore}
        current={current}
        onCurrent={({ id }) => setCurrent(id)}
        onOpen={({ id }) => setOpened(opened === id ? null : id)}
        selected={selectedIds}
        onSelect={toggle}
        isStrong={waits}
        detail={(alert) =>
          alert.id === opened ? (
            <AlertDetail alert={alert} mayAct={mayAct} onCommand={(name) => command(name, [alert])} />
          ) : null
        }
        empty={
          <Empty title={isNarrowed(search) ? say("alerts.noneFiltered") : say(`alerts.none.${tab}`)}>
            {say("alerts.noneHelp")}
          </Empty>
        }
      />
    )

  return (
    <>
      <header className={page.header}>
        <h1 className={page.title}>{say("alerts.title")}</h1>
        <AlertNav />
        {mayAct && tab === "unacknowledged" && list.total > 1 && list.matched ? (
          <Button
            className={css.all}
            onClick={() =>
              list.matched && setQuestion({ matching: matchOf(search, now()), counts: list.matched })
            }
          >
            {say("alerts.acknowledgeAll", { n: list.total, shown: count(list.total) })}
          </Button>
        ) : null}
      </header>
      {flood ? (
        <FloodLine
          kpis={flood}
          isFolded={group !== "none"}
          onFold={(folded) => go({ group: folded ? "cause" : "none" })}
        />
      ) : null}
      <div className={page.header}>
        <nav className={`${page.chips} ${css.tabs}`} aria-label={say("alerts.state")}>
          {ALERT_TABS.map((each) => (
            <Chip key={each} pressed={each === tab} onClick={() => go({ tab: each })}>
              {say(`alerts.tabs.${each}`)} {list.counts[each] === undefined ? "" : count(list.counts[each])}
            </Chip>
          ))}
        </nav>
        {/* While rows are selected, what can be done with them takes this place. */}
        {selected.length > 0 ? null : (
          <nav className={`${page.chips} ${css.tabs}`} aria-label={say("devices.priority")}>
            <PriorityChips
              counts={list.priorities}
              chosen={search.priority}
              onChoose={(priority) => go({ priority })}
            />
            <Narrowing search={search} />
          </nav>
        )}
        {selected.length > 0 ? null : (
          <NativeSelect
            size="xs"
            className={css.group}
            aria-label={say("alerts.groupBy")}
            value={group}
            data={ALERT_GROUPS.map((value) => ({ value, label: say(`alerts.groupsBy.${value}`) }))}
            onChange={({ target }) => go({ group: target.value as AlertSearch["group"] })}
          />
        )}
        {mayAct && group === "none" ? (
          <ActBar
            selected={selected}
            meant={meant}
            isPending={isPending}
            onCommand={command}
            onClear={clear}
          />
        ) : null}
      </div>
      <section className={page.card} aria-label={say("alerts.table")}>
        {body}
      </section>
      <Questions question={question} needed={needed} onAnswer={send} onClose={() => setQuestion(null)} />
    </>
  )
}

function idOf({ id }: AlertItem): string {
  return id
}

function waits({ state }: AlertItem): boolean {
  return state === "UNACK" || state === "LATCHED_UNACK"
}

function isNarrowed({ priority, device, type, site, rule }: AlertSearch): boolean {
  return [priority, device, type, site, rule].some((part) => part !== undefined)
}
