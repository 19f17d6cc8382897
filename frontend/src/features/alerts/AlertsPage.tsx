/** The alert console: what stands, what it asks of whom, and the few keys and buttons that answer it. */
import { Button, Checkbox } from "@mantine/core"
import { getRouteApi, useNavigate } from "@tanstack/react-router"
import { lazy, type ReactNode, Suspense, useMemo, useState } from "react"
import { ALERT_TABS } from "@/addresses"
import type { AlertCommand, AlertItem, AlertOrder } from "@/api/schema"
import { Chip } from "@/components/Chip"
import { DataTable } from "@/components/DataTable"
import { PriorityMark } from "@/components/PriorityMark"
import { Empty, Failed, Skeleton } from "@/components/states"
import { PRIORITIES } from "@/components/tokens"
import { useKeys } from "@/components/useKeys"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { AlertDetail } from "./AlertDetail"
import css from "./AlertsPage.module.css"
import { alertColumns } from "./columns"
import type { Question } from "./dialogs"
import { useAlertActs } from "./useAlertActs"
import { useAlerts } from "./useAlerts"

const Dialog = lazy(() => import("./dialogs"))
const route = getRouteApi("/alerts")

export function AlertsPage() {
  const search = route.useSearch()
  const navigate = useNavigate({ from: "/alerts" })
  const tab = search.tab ?? "unacknowledged"
  const list = useAlerts(search)
  const { items, selected, selectedIds, toggle, select, clear } = list
  const { act, isPending } = useAlertActs()
  const [current, setCurrent] = useState<string | null>(null)
  const [opened, setOpened] = useState<string | null>(null)
  const [question, setQuestion] = useState<{
    readonly kind: Question
    readonly alerts: readonly AlertItem[]
  } | null>(null)

  const row = items.find(({ id }) => id === current)
  const meant = selected.length > 0 ? selected : row ? [row] : []
  const command = (name: AlertCommand, alerts: readonly AlertItem[] = meant, order?: AlertOrder) =>
    act({ command: name, alerts, order }, selected.length > 0 ? clear : undefined)
  const ask = (kind: Question, alerts: readonly AlertItem[] = meant) =>
    alerts.length > 0 && setQuestion({ kind, alerts })

  useKeys({
    a: () => command("acknowledge"),
    s: () => ask("shelve"),
    d: () => row && navigate({ to: "/devices/$id", params: { id: row.device_id } }),
  })

  const every = items.length > 0 && items.every(({ id }) => selectedIds.has(id))
  const columns = useMemo(
    () =>
      alertColumns({
        header: (
          <Checkbox
            aria-label={say("alerts.selectAll", { n: items.length })}
            checked={every}
            indeterminate={!every && selectedIds.size > 0}
            onChange={() => (every ? clear() : select(items))}
          />
        ),
        isSelected: ({ id }) => selectedIds.has(id),
        toggle,
      }),
    [items, every, selectedIds, toggle, clear, select],
  )

  let body: ReactNode
  if (list.error) body = <Failed error={list.error} retry={list.retry} />
  else if (list.isPending) body = <Skeleton rows={12} />
  else
    body = (
      <DataTable
        label={say("alerts.table")}
        columns={columns}
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
            <AlertDetail
              alert={alert}
              onCommand={(name) => command(name, [alert])}
              onAsk={(kind) => ask(kind, [alert])}
            />
          ) : null
        }
        empty={
          <Empty title={search.priority ? say("alerts.noneFiltered") : say(`alerts.none.${tab}`)}>
            {say("alerts.noneHelp")}
          </Empty>
        }
      />
    )

  return (
    <>
      <header className={css.header}>
        <h1 className={css.title}>{say("alerts.title")}</h1>
        <nav className={css.tabs} aria-label={say("alerts.state")}>
          {ALERT_TABS.map((each) => (
            <Chip
              key={each}
              pressed={each === tab}
              onClick={() => navigate({ search: (before) => ({ ...before, tab: each }) })}
            >
              {say(`alerts.tabs.${each}`)} {list.counts[each] === undefined ? "" : count(list.counts[each])}
            </Chip>
          ))}
        </nav>
        {/* While rows are selected, what can be done with them takes this place. */}
        {selected.length > 0 ? null : (
          <nav className={css.tabs} aria-label={say("devices.priority")}>
            {PRIORITIES.map((priority) => (
              <Chip
                key={priority}
                pressed={search.priority === priority}
                label={say("priority.count", {
                  n: list.priorities?.[priority] ?? 0,
                  priority: say(`priority.${priority}`),
                })}
                onClick={() =>
                  navigate({
                    search: (before) => ({
                      ...before,
                      priority: search.priority === priority ? undefined : priority,
                    }),
                  })
                }
              >
                <PriorityMark priority={priority} labelled /> {count(list.priorities?.[priority] ?? 0)}
              </Chip>
            ))}
          </nav>
        )}
        <div className={css.acts} data-any={selected.length > 0}>
          {selected.length > 0 ? (
            <>
              <Button variant="subtle" onClick={clear} aria-label={say("alerts.clear")}>
                {say("alerts.selected", { n: count(selected.length) })} ×
              </Button>
              <Button onClick={() => ask("comment")}>{say("alerts.comment")}</Button>
              <Button onClick={() => ask("assign")}>{say("alerts.assign")}</Button>
            </>
          ) : null}
          {tab === "shelved" ? (
            <Button
              variant="filled"
              disabled={meant.length === 0 || isPending}
              onClick={() => command("unshelve")}
            >
              {say("alerts.unshelve")}
            </Button>
          ) : (
            <>
              <Button disabled={meant.length === 0} onClick={() => ask("shelve")}>
                {say("alerts.shelve")}
              </Button>
              <Button
                variant="filled"
                disabled={meant.length === 0 || isPending}
                onClick={() => command("acknowledge")}
              >
                {selected.length > 0
                  ? say("alerts.acknowledgeN", { n: count(selected.length) })
                  : say("alerts.acknowledge")}
              </Button>
            </>
          )}
        </div>
      </header>
      <section className={css.card} aria-label={say("alerts.table")}>
        {body}
      </section>
      <Suspense>
        {question ? (
          <Dialog
            kind={question.kind}
            count={question.alerts.length}
            onClose={() => setQuestion(null)}
            onAnswer={(order) => {
              command(question.kind, question.alerts, order)
              setQuestion(null)
            }}
          />
        ) : null}
      </Suspense>
    </>
  )
}

function idOf({ id }: AlertItem): string {
  return id
}

function waits({ state }: AlertItem): boolean {
  return state === "UNACK" || state === "LATCHED_UNACK"
}
