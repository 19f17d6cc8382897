/** What runs beside the hosts, what history takes, and of what version it all is. Only who is for all sites may see it. */
import { useQuery } from "@tanstack/react-query"
import { systemQuery } from "@/api/platform"
import type { PartInfo, SystemInfo } from "@/api/schema"
import { useMe } from "@/api/session"
import { Card } from "@/components/Card"
import facts from "@/components/facts.module.css"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { bytes, count } from "@/words/figures"
import { say, sayOf } from "@/words/say"
import css from "./admin.module.css"

export function SystemParts() {
  const isWhole = useMe()?.sites === null
  const { data } = useQuery({ ...systemQuery, enabled: isWhole })
  if (!data) return null
  return (
    <>
      <Parts parts={[...data.services, ...data.applications]} />
      <Storage {...data} />
      <Card className={css.whole} title={say("system.software")}>
        <dl className={facts.facts}>
          {Object.entries(data.software).flatMap(([name, version]) => [
            <dt key={`${name}-name`}>{name}</dt>,
            <dd key={name}>{version}</dd>,
          ])}
        </dl>
      </Card>
    </>
  )
}

function Parts({ parts }: { readonly parts: readonly PartInfo[] }) {
  const columns: PlainColumn<PartInfo>[] = [
    { id: "name", title: say("system.part"), cell: ({ name }) => name },
    { id: "state", title: say("system.state"), wraps: true, cell: PartState },
  ]
  return (
    <Card className={css.whole} title={say("system.parts")} hint={say("system.partsHelp")}>
      <PlainTable
        label={say("system.parts")}
        columns={columns}
        rows={parts}
        rowId={({ name }) => name}
        empty={say("app.none")}
      />
    </Card>
  )
}

function PartState({ state, reason }: PartInfo) {
  const text = sayOf("system.partStates", state, state)
  return (
    <>
      {state === "ready" ? text : <span className={css.abnormal}>{text}</span>}{" "}
      <span className={css.detail}>{reason}</span>
    </>
  )
}

function Storage({ storage, encrypted }: SystemInfo) {
  const columns: PlainColumn<SystemInfo["storage"]["tables"][number]>[] = [
    { id: "name", title: say("system.table"), cell: ({ name }) => name },
    { id: "rows", title: say("system.rows"), align: "right", cell: ({ rows }) => count(rows) },
    { id: "files", title: say("system.files"), align: "right", cell: ({ files }) => count(files) },
    { id: "bytes", title: say("system.size"), align: "right", cell: ({ bytes: size }) => bytes(size) },
  ]
  const free = { free: bytes(storage.free_bytes), total: bytes(storage.total_bytes) }
  const sealed = say(encrypted ? "system.encrypted" : "system.plain")
  return (
    <Card className={css.whole} title={say("system.history")} hint={`${say("system.free", free)}, ${sealed}`}>
      <PlainTable
        label={say("system.history")}
        columns={columns}
        rows={storage.tables}
        rowId={({ name }) => name}
        empty={say("system.noTable")}
      />
    </Card>
  )
}
