/** What is in force of a type, since when, and what is staged to be. */
import { Button } from "@mantine/core"
import { Link } from "@tanstack/react-router"
import type { ReactNode } from "react"
import type { TypeStanding } from "@/api/schema"
import { type Part, useUnstage } from "@/api/types"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import facts from "@/components/facts.module.css"
import { Problem } from "@/components/Problem"
import { say } from "@/words/say"
import type { Wanted } from "./ActivateDialog"
import css from "./admin.module.css"

interface Props {
  readonly standing: TypeStanding
  readonly acts: ReactNode
  readonly onActivate: ((wanted: Wanted) => void) | undefined
}

export function Standing({ standing, acts, onActivate }: Props) {
  const { name, in_force, staged_version, staged_rules, file, revision } = standing
  const unstage = useUnstage(name)
  const isStaged = staged_version !== null || staged_rules !== null
  const staged = (part: Part, first: number | undefined, second: number | null) =>
    second === null ? null : (
      <span className={css.acts}>
        {say(part === "type" ? "types.versionN" : "types.rulesN", { n: second })}
        {first !== undefined && first !== second ? (
          <Link
            to="/admin/types/$name"
            params={{ name }}
            search={{ part, first, second }}
            className={css.link}
          >
            {say("types.whatChanges")}
          </Link>
        ) : null}
        {onActivate ? (
          <Button
            aria-label={say(part === "type" ? "types.unstageType" : "types.unstageRules")}
            onClick={() => unstage.mutate({ part, revision })}
          >
            {say("types.unstage")}
          </Button>
        ) : null}
      </span>
    )
  return (
    <Card className={css.whole} title={say("types.standing")} aside={<div className={css.acts}>{acts}</div>}>
      <Problem error={unstage.error} />
      <dl className={facts.facts}>
        <dt>{say("types.inForce")}</dt>
        <dd>
          {in_force ? (
            <>
              {say("types.pair", { version: in_force.version, rules: in_force.rules })},{" "}
              {say("types.byWhom", { by: in_force.by })} <Age at={in_force.at} />{" "}
              <span className={css.detail}>{in_force.why}</span>
            </>
          ) : (
            say("app.none")
          )}
        </dd>
        <dt>{say("types.staged")}</dt>
        <dd>
          {isStaged ? (
            <>
              {staged("type", in_force?.version, staged_version)}
              {staged("rules", in_force?.rules, staged_rules)}
            </>
          ) : (
            say("types.nothingStaged")
          )}
        </dd>
        {file ? (
          <>
            <dt>{say("types.file")}</dt>
            <dd>{file}</dd>
          </>
        ) : null}
      </dl>
      {isStaged && onActivate ? (
        <div className={css.more}>
          <Button
            variant="filled"
            onClick={() =>
              onActivate({ version: staged_version ?? undefined, rules: staged_rules ?? undefined })
            }
          >
            {say("types.activateStaged")}
          </Button>
        </div>
      ) : null}
    </Card>
  )
}
