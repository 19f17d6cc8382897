/** Rules that wait to be put in force: what they change, and the two ways on. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { ruleDifferencesQuery, useUnstageRules } from "@/api/rules"
import type { TypeVersions } from "@/api/schema"
import { Card } from "@/components/Card"
import { notify } from "@/components/notices"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import { ActivateDialog } from "./ActivateDialog"
import { Changes } from "./Changes"
import css from "./rules.module.css"

interface Props {
  readonly versions: TypeVersions
  readonly staged: number
  readonly mayChange: boolean
}

export function StagedCard({ versions, staged, mayChange }: Props) {
  const { name, revision, in_force, rules } = versions
  const [isAsking, setAsking] = useState(false)
  const { mutate, isPending, error } = useUnstageRules(name)
  const made = rules.find(({ number }) => number === staged)
  return (
    <Card
      title={say("rules.staged", { n: staged })}
      hint={made ? [made.by, made.why].filter(Boolean).join(": ") : ""}
      aside={
        mayChange ? (
          <>
            <Button
              disabled={isPending}
              onClick={() =>
                mutate(revision, { onSuccess: () => notify({ text: say("rules.unstaged", { n: staged }) }) })
              }
            >
              {say("rules.unstage")}
            </Button>
            <Button variant="filled" onClick={() => setAsking(true)}>
              {say("rules.activate")}
            </Button>
          </>
        ) : null
      }
    >
      {error ? <Failed error={error} /> : null}
      {in_force ? <Differences type={name} first={in_force.rules} second={staged} /> : null}
      {isAsking ? (
        <ActivateDialog versions={versions} rules={staged} onClose={() => setAsking(false)} />
      ) : null}
    </Card>
  )
}

interface Between {
  readonly type: string
  readonly first: number
  readonly second: number
}

export function Differences({ type, first, second }: Between) {
  const { data, error } = useQuery(ruleDifferencesQuery(type, first, second))
  if (error) return <Failed error={error} />
  if (!data) return <Skeleton rows={2} />
  if (data.changes.length === 0) return <p className={css.none}>{say("rules.unchanged")}</p>
  return <Changes changes={data.changes} />
}
