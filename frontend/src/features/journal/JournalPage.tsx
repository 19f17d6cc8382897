/** Every transition of every alert, by whom and why, newest first. */
import { NativeSelect, TextInput } from "@mantine/core"
import { getRouteApi, useNavigate } from "@tanstack/react-router"
import { type ReactNode, useState } from "react"
import { JOURNAL_RANGES, type JournalSearch } from "@/addresses"
import { AlertNav } from "@/components/AlertNav"
import { Chip } from "@/components/Chip"
import { DataTable } from "@/components/DataTable"
import { PriorityMark } from "@/components/PriorityMark"
import page from "@/components/page.module.css"
import { Empty, Failed, Skeleton } from "@/components/states"
import { PRIORITIES } from "@/components/tokens"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { moment } from "@/words/times"
import { journalColumns } from "./columns"
import css from "./JournalPage.module.css"
import { useJournal, useRules } from "./useJournal"

const route = getRouteApi("/alerts/journal")
const KINDS = [
  "alert",
  "alert.raised",
  "alert.acknowledged",
  "alert.shelved",
  "maintenance",
  "device",
] as const
const columns = journalColumns()

export function JournalPage() {
  const search = route.useSearch()
  const navigate = useNavigate({ from: "/alerts/journal" })
  const go = (next: Partial<JournalSearch>) => navigate({ search: (before) => ({ ...before, ...next }) })
  const { items, total, range, ...list } = useJournal(search)
  const rules = useRules()

  let body: ReactNode
  if (list.error) body = <Failed error={list.error} retry={list.retry} />
  else if (list.isPending) body = <Skeleton rows={12} />
  else
    body = (
      <DataTable
        label={say("journal.table")}
        columns={columns}
        rows={items}
        rowId={({ id }) => id}
        total={total}
        onNearEnd={list.fetchMore}
        isStrong={() => true}
        empty={<Empty title={say("journal.none")}>{say("journal.noneHelp")}</Empty>}
      />
    )
  return (
    <>
      <header className={page.header}>
        <h1 className={page.title}>{say("alerts.title")}</h1>
        <AlertNav />
        <span className={css.total}>
          {list.isPending ? "" : say("journal.count", { n: total, shown: count(total) })}
        </span>
      </header>
      <div className={`${page.header} ${css.choices}`}>
        <NativeSelect
          size="xs"
          aria-label={say("journal.what")}
          value={search.kind ?? "alert"}
          data={KINDS.map((value) => ({ value, label: say(`journal.kinds.${value}`) }))}
          onChange={({ target }) => go({ kind: target.value === "alert" ? undefined : target.value })}
        />
        <NativeSelect
          size="xs"
          aria-label={say("alerts.rule")}
          value={search.rule ?? ""}
          data={[{ value: "", label: say("journal.anyRule") }, ...rules]}
          onChange={({ target }) => go({ rule: target.value || undefined })}
        />
        <DeviceInput
          key={search.device}
          device={search.device ?? ""}
          onChange={(device) => go({ device: device || undefined })}
        />
        <nav className={`${page.chips} ${css.chips}`} aria-label={say("devices.priority")}>
          {PRIORITIES.map((priority) => (
            <Chip
              key={priority}
              pressed={search.priority === priority}
              onClick={() => go({ priority: search.priority === priority ? undefined : priority })}
            >
              <PriorityMark priority={priority} labelled /> {say(`priority.${priority}`)}
            </Chip>
          ))}
        </nav>
        <nav className={`${page.chips} ${css.chips}`} aria-label={say("journal.time")}>
          {search.start !== undefined && search.end !== undefined ? (
            <Chip pressed onClick={() => go({ start: undefined, end: undefined })}>
              {say("device.from", { start: moment(search.start), end: moment(search.end) })} ×
            </Chip>
          ) : null}
          {JOURNAL_RANGES.map((each) => (
            <Chip
              key={each}
              pressed={each === range}
              onClick={() => go({ range: each, start: undefined, end: undefined })}
            >
              {say(`device.range.${each}`)}
            </Chip>
          ))}
        </nav>
      </div>
      <section className={page.card} aria-label={say("journal.table")}>
        {body}
      </section>
    </>
  )
}

interface DeviceInputProps {
  readonly device: string
  readonly onChange: (device: string) => void
}

function DeviceInput({ device, onChange }: DeviceInputProps) {
  const [typed, setTyped] = useState(device)
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        onChange(typed.trim())
      }}
    >
      <TextInput
        size="xs"
        aria-label={say("alerts.device")}
        placeholder={say("journal.anyDevice")}
        value={typed}
        onBlur={() => typed.trim() !== device && onChange(typed.trim())}
        onChange={({ target }) => setTyped(target.value)}
      />
    </form>
  )
}
