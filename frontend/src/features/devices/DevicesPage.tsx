/** All devices, or those that a filter leaves: one dense table, sorted by the server, live where it is looked at. */
import { Button } from "@mantine/core"
import { getRouteApi, useNavigate } from "@tanstack/react-router"
import { type ReactNode, useMemo, useState } from "react"
import { reaches } from "@/api/accounts"
import type { DeviceItem } from "@/api/schema"
import { useMe } from "@/api/session"
import { Chip } from "@/components/Chip"
import { DataTable } from "@/components/DataTable"
import page from "@/components/page.module.css"
import { Empty, Failed, Skeleton } from "@/components/states"
import { useKeys } from "@/components/useKeys"
import { useStable } from "@/components/useStable"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { deviceColumns } from "./columns"
import css from "./DevicesPage.module.css"
import { Facets } from "./Facets"
import { wholeFilterOf } from "./filterOf"
import { RowJump } from "./RowJump"
import { SelectAll } from "./SelectAll"
import { SelectionBar } from "./SelectionBar"
import { useDevices } from "./useDevices"
import { useExport } from "./useExport"
import { usePlace } from "./usePlace"
import { isSelected, useSelection } from "./useSelection"
import { Views } from "./Views"
import { hiddenIn } from "./views"

const route = getRouteApi("/devices")
/** From so many devices on there is a field for the row to go to. */
const JUMP_FROM = 200

export function DevicesPage() {
  const search = route.useSearch()
  const navigate = useNavigate({ from: "/devices" })
  const list = useDevices(search)
  const { choice, rows, all, sort } = list
  const total = list.isKnown ? rows.length : null
  const file = useExport(choice)
  const [current, setCurrent] = useState<DeviceItem | null>(null)
  const place = usePlace(search, choice)
  const role = useMe()?.role
  const maySelect = reaches(role, "operator")
  const selecting = useSelection(choice, total ?? 0)
  const toggle = useStable(selecting.toggle)
  const columns = useMemo(() => deviceColumns(maySelect ? toggle : undefined), [maySelect, toggle])
  const mark = maySelect ? (
    <SelectAll {...selecting} />
  ) : (
    <span className="visually-hidden">{say("devices.priority")}</span>
  )
  const [open, setOpen] = useState<"columns" | "views" | null>(null)
  const { hide: asked } = search
  const hidden = useMemo(() => hiddenIn({ hide: asked }), [asked])
  const show = (which: "columns" | "views") => setOpen(open === which ? null : which)
  const openDevice = ({ id }: DeviceItem) => navigate({ to: "/devices/$id", params: { id } })
  const narrowed = total !== null && all !== null && total !== all
  const clear = () => navigate({ search: ({ sort: kept, hide }) => ({ sort: kept, hide }) })
  const jump = (row: number) => {
    place.go(row)
    navigate({ search: (before) => ({ ...before, row }), replace: true, resetScroll: false })
  }

  useKeys({ d: () => current && openDevice(current) })

  const toggleColumn = (id: string) => {
    const next = new Set(hidden)
    if (!next.delete(id)) next.add(id)
    navigate({ search: (before) => ({ ...before, hide: [...next].join(",") || "none" }), replace: true })
  }

  let body: ReactNode
  if (list.error) body = <Failed error={list.error} retry={list.retry} />
  else if (list.isPending) body = <Skeleton rows={14} />
  else
    body = (
      <DataTable
        label={say("devices.table")}
        columns={columns}
        headers={{ mark }}
        hidden={hidden}
        rows={rows}
        rowId={idOf}
        total={rows.length}
        sort={sort}
        onSort={(next) =>
          navigate({ search: ({ row: _, ...before }) => ({ ...before, sort: next }), replace: true })
        }
        onRange={list.look}
        goTo={place.goTo}
        onOpen={openDevice}
        current={current?.id ?? null}
        onCurrent={setCurrent}
        selected={{ has: (id) => isSelected(selecting.selection, id) }}
        onSelect={maySelect ? ({ id }) => selecting.toggle(id) : undefined}
        isStrong={isAbnormal}
        empty={
          <Empty title={say("devices.none")} action={<Button onClick={clear}>{say("devices.clear")}</Button>}>
            {say("devices.noneHelp", { n: count(all) })}
          </Empty>
        }
      />
    )

  return (
    <>
      <header className={page.header}>
        <h1 className={page.title}>{say("devices.title")}</h1>
        <span className={css.count} aria-live="polite">
          {total === null
            ? ""
            : narrowed
              ? say("devices.ofAll", { n: count(total), all: count(all) })
              : say("devices.count", { n: total, shown: count(total) })}
        </span>
        {search.filter || search.q ? (
          <Chip onClick={clear} label={`${say("devices.clear")}: ${search.filter ?? search.q}`}>
            <span className={css.filter}>{search.filter ?? search.q}</span> ×
          </Chip>
        ) : null}
        {list.tryAgain ? (
          <Button onClick={list.tryAgain}>{say("devices.unread")}</Button>
        ) : total !== null && total > JUMP_FROM ? (
          <RowJump first={list.first} total={total} onJump={jump} />
        ) : null}
        {/* While devices are selected, what can be done with them takes the place of the tools. */}
        {selecting.n > 0 ? (
          <SelectionBar selecting={selecting} choice={choice} />
        ) : (
          <div className={css.tools}>
            {reaches(role, "engineer") ? (
              <Button
                onClick={() => navigate({ to: "/whatif/new", search: { devices: wholeFilterOf(search) } })}
                disabled={!total}
              >
                {say("pages.askWhatIf")}
              </Button>
            ) : null}
            <Button aria-expanded={open === "views"} onClick={() => show("views")}>
              {say("views.title")}
            </Button>
            {file.read === null ? (
              <Button onClick={file.begin} disabled={!total}>
                {say("devices.export")}
              </Button>
            ) : (
              <Button onClick={file.stop}>
                {say("devices.exporting", { n: count(file.read), all: count(total) })}
              </Button>
            )}
            <Button
              className={css.columnsButton}
              aria-expanded={open === "columns"}
              onClick={() => show("columns")}
            >
              {say("devices.columns")}
            </Button>
          </div>
        )}
      </header>
      {open === "views" ? <Views search={search} /> : null}
      {open === "columns" ? (
        <fieldset className={css.columns}>
          <legend className="visually-hidden">{say("devices.columns")}</legend>
          {columns
            .filter(({ id }) => id !== "id" && id !== "mark")
            .map(({ id, title }) => (
              <Chip key={id} pressed={!hidden.has(id)} onClick={() => toggleColumn(id)}>
                {title}
              </Chip>
            ))}
        </fieldset>
      ) : null}
      <div className={css.body}>
        <Facets
          groups={list.facets}
          search={search}
          onChoose={(key, value) =>
            navigate({ search: ({ row: _, ...before }) => ({ ...before, [key]: value }) })
          }
        />
        <section className={page.card} aria-label={say("devices.table")}>
          {body}
        </section>
      </div>
    </>
  )
}

function idOf({ id }: DeviceItem): string {
  return id
}

function isAbnormal({ alerts, health, status }: DeviceItem): boolean {
  return alerts > 0 || (health !== null && health < 50) || status === "stale"
}
