/** One device type: what is in force, what is staged, its rules, and every version with what it changes. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { getRouteApi, Link } from "@tanstack/react-router"
import { useState } from "react"
import { reaches } from "@/api/accounts"
import type { RuleInfo, TypeDetail, TypeInstallation, TypeVersions } from "@/api/schema"
import { useMe } from "@/api/session"
import { exportAddress, typeQuery, typeVersionsQuery } from "@/api/types"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { PriorityMark } from "@/components/PriorityMark"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import { ActivateDialog, type Wanted } from "./ActivateDialog"
import css from "./admin.module.css"
import { Comparison } from "./Comparison"
import { StageDialog } from "./StageDialog"
import { Standing } from "./Standing"
import { Versions } from "./Versions"

const page = getRouteApi("/admin/types/$name")

export function TypePage() {
  const { name } = page.useParams()
  const type = useQuery(typeQuery(name))
  const versions = useQuery(typeVersionsQuery(name))
  const error = type.error ?? versions.error
  if (type.data && versions.data) return <Type key={name} type={type.data} versions={versions.data} />
  if (error) return <Failed error={error} retry={() => Promise.all([type.refetch(), versions.refetch()])} />
  return <Skeleton rows={10} />
}

interface Props {
  readonly type: TypeDetail
  readonly versions: TypeVersions
}

function Type({ type, versions }: Props) {
  const compared = page.useSearch()
  const me = useMe()
  // Types are for all sites; who is for some may look.
  const mayChange = reaches(me?.role, "engineer") && me?.sites === null
  const [isStaging, setStaging] = useState(false)
  const [wanted, setWanted] = useState<Wanted | null>(null)
  const onActivate = mayChange ? setWanted : undefined
  return (
    <>
      <header className={css.head}>
        <Link to="/admin/types" className={css.link}>
          {say("types.title")}
        </Link>
        <h2 className={css.name}>{type.title}</h2>
        <span className={css.muted}>{type.description}</span>
      </header>
      <Standing
        standing={versions}
        onActivate={onActivate}
        acts={
          <>
            <a className={css.link} href={exportAddress(type.name, "type")} download>
              {say("types.export")}
            </a>
            <a className={css.link} href={exportAddress(type.name, "rules")} download>
              {say("types.exportRules")}
            </a>
            {mayChange ? <Button onClick={() => setStaging(true)}>{say("types.stage")}</Button> : null}
          </>
        }
      />
      {compared.part ? <Comparison name={type.name} {...compared} /> : null}
      <Rules rules={type.rules} />
      <Versions part="rules" versions={versions} onActivate={onActivate} />
      <Versions part="type" versions={versions} onActivate={onActivate} />
      <Installations installations={versions.installations} />
      {isStaging ? (
        <StageDialog name={type.name} revision={versions.revision} onClose={() => setStaging(false)} />
      ) : null}
      {wanted ? <ActivateDialog versions={versions} wanted={wanted} onClose={() => setWanted(null)} /> : null}
    </>
  )
}

function Rules({ rules }: { readonly rules: readonly RuleInfo[] }) {
  const columns: PlainColumn<RuleInfo>[] = [
    {
      id: "title",
      title: say("types.rule"),
      wraps: true,
      cell: ({ name, title }) => <span title={name}>{title}</span>,
    },
    {
      id: "priority",
      title: say("types.priority"),
      cell: ({ priority }) => (
        <span className={css.priority}>
          <PriorityMark priority={priority} labelled />
          {say(`priority.${priority}`)}
        </span>
      ),
    },
    {
      id: "when",
      title: say("types.when"),
      wraps: true,
      cell: ({ when }) => <code className={css.value}>{when}</code>,
    },
    { id: "response", title: say("types.response"), wraps: true, cell: ({ response }) => response },
    {
      id: "consequence",
      title: say("types.consequence"),
      wraps: true,
      cell: ({ consequence, latch }) =>
        latch ? `${consequence} (${say("types.latches")})`.trim() : consequence,
    },
  ]
  return (
    <Card className={css.whole} title={say("types.rulesInForce")}>
      <PlainTable
        label={say("types.rulesInForce")}
        columns={columns}
        rows={rules}
        rowId={({ name }) => name}
        empty={say("types.noRules")}
      />
    </Card>
  )
}

function Installations({ installations }: { readonly installations: readonly TypeInstallation[] }) {
  const columns: PlainColumn<TypeInstallation>[] = [
    {
      id: "what",
      title: say("types.putInForce"),
      cell: ({ version, rules }) => say("types.pair", { version, rules }),
    },
    {
      id: "state",
      title: say("types.state"),
      wraps: true,
      cell: ({ state, problem }) =>
        state === "in_force" ? (
          say(`types.states.${state}`)
        ) : (
          <>
            <span className={css.abnormal}>{say(`types.states.${state}`)}</span>{" "}
            <span className={css.detail}>{problem}</span>
          </>
        ),
    },
    { id: "by", title: say("types.by"), cell: ({ by }) => by },
    { id: "at", title: say("types.at"), cell: ({ at }) => <Age at={at} /> },
    { id: "why", title: say("types.why"), wraps: true, cell: ({ why }) => why },
  ]
  return (
    <Card className={css.whole} title={say("types.history")}>
      <PlainTable
        label={say("types.history")}
        columns={columns}
        rows={installations}
        rowId={({ number }) => number}
        empty={say("app.none")}
      />
    </Card>
  )
}
