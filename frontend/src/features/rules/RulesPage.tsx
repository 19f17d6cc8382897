/** The alert rules of one type: those in force, a change of them step by step, and every version that there was. */
import { Button } from "@mantine/core"
import { useQuery, useQueryClient } from "@tanstack/react-query"
import { getRouteApi, Link } from "@tanstack/react-router"
import { useEffect, useState } from "react"
import { reaches } from "@/api/accounts"
import { keys, typesQuery } from "@/api/queries"
import { rulesFile, ruleVersionsQuery } from "@/api/rules"
import { useMe } from "@/api/session"
import { AlertNav } from "@/components/AlertNav"
import page from "@/components/page.module.css"
import { Empty, Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import { moment, parse } from "@/words/times"
import { RehearsalJob } from "./RehearsalJob"
import { RuleEditor } from "./RuleEditor"
import { RuleList } from "./RuleList"
import css from "./rules.module.css"
import { StagedCard } from "./StagedCard"
import { VersionsCard } from "./VersionsCard"

const route = getRouteApi("/alerts/rules/$type")

export function RulesPage() {
  const { type } = route.useParams()
  return <Rules key={type} name={type} />
}

/** Of one type only: what is begun for it is never done to the next. */
function Rules({ name }: { readonly name: string }) {
  const { rule, rehearsal } = route.useSearch()
  const navigate = route.useNavigate()
  const { data: types } = useQuery(typesQuery)
  const { data: versions, dataUpdatedAt, error, refetch } = useQuery(ruleVersionsQuery(name))
  const mayChange = reaches(useMe()?.role, "engineer")
  const [isEditing, setEditing] = useState(false)
  const type = types?.find((each) => each.name === name)
  const current = versions?.in_force
  useNewest(type?.version, current?.number, dataUpdatedAt)

  if (types && !type)
    return (
      <Empty
        title={say("rules.noType", { name })}
        action={<Link to="/alerts/rules">{say("rules.byType")}</Link>}
      />
    )
  return (
    <>
      <header className={page.header}>
        <h1 className={page.title}>{say("alerts.title")}</h1>
        <AlertNav />
      </header>
      <div className={page.header}>
        <h2 className={css.subtitle}>{type?.title ?? name}</h2>
        {current ? (
          <span className={css.muted}>
            {say("rules.inForce", {
              n: current.rules,
              time: moment(parse(current.at) ?? 0),
              by: current.by,
            })}
          </span>
        ) : null}
        <div className={css.acts}>
          <a className={css.file} href={rulesFile(name)} download>
            {say("rules.export")}
          </a>
          {mayChange && !isEditing ? (
            <Button variant="filled" onClick={() => setEditing(true)}>
              {say("rules.edit")}
            </Button>
          ) : null}
        </div>
      </div>
      {error && !versions ? <Failed error={error} retry={refetch} /> : null}
      {type && versions ? (
        <div className={css.columns}>
          <div className={css.main}>
            {isEditing ? <RuleEditor versions={versions} onClose={() => setEditing(false)} /> : null}
            {rehearsal ? (
              <RehearsalJob id={rehearsal} onClose={() => navigate({ search: {}, resetScroll: false })} />
            ) : null}
            {versions.staged_rules === null ? null : (
              <StagedCard versions={versions} staged={versions.staged_rules} mayChange={mayChange} />
            )}
            <RuleList rules={type.rules} chosen={rule} />
          </div>
          <VersionsCard versions={versions} mayChange={mayChange} />
        </div>
      ) : error ? null : (
        <Skeleton rows={8} />
      )}
    </>
  )
}

/** Read the types anew where others put another version in force than the one known here; looked at with each answer. */
function useNewest(known: number | undefined, inForce: number | undefined, answeredAt: number): void {
  const cache = useQueryClient()
  // biome-ignore lint/correctness/useExhaustiveDependencies: a host that has not heard of it yet is asked again
  useEffect(() => {
    if (known !== undefined && inForce !== undefined && known !== inForce)
      cache.invalidateQueries({ queryKey: keys.types })
  }, [cache, known, inForce, answeredAt])
}
