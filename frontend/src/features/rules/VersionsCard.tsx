/** Every version of a type's rules, by whom and why; an older one can be put in force again. */
import { Button } from "@mantine/core"
import { useState } from "react"
import type { TypeVersion, TypeVersions } from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { say } from "@/words/say"
import { ActivateDialog } from "./ActivateDialog"
import css from "./rules.module.css"
import { Differences } from "./StagedCard"

interface Props {
  readonly versions: TypeVersions
  readonly mayChange: boolean
}

export function VersionsCard({ versions, mayChange }: Props) {
  const [opened, setOpened] = useState<number | null>(null)
  const [asked, setAsked] = useState<number | null>(null)
  const { name, in_force, staged_rules, rules } = versions
  return (
    <Card title={say("rules.versions")}>
      <ul>
        {rules.map((version) => {
          const { number } = version
          const isInForce = number === in_force?.rules
          return (
            <li key={number} className={css.version}>
              <div className={css.line}>
                <strong>{say("rules.version", { n: number })}</strong>
                {isInForce ? <span className={css.state}>{say("rules.isInForce")}</span> : null}
                {number === staged_rules ? <span className={css.state}>{say("rules.isStaged")}</span> : null}
                <span className={css.end}>
                  <Age at={version.at} />
                </span>
              </div>
              <p className={css.muted}>{origin(version)}</p>
              {isInForce || !in_force ? null : (
                <div className={css.line}>
                  <Button
                    size="compact-sm"
                    aria-expanded={opened === number}
                    onClick={() => setOpened(opened === number ? null : number)}
                  >
                    {say("rules.differences")}
                  </Button>
                  {mayChange && number !== staged_rules ? (
                    <Button size="compact-sm" onClick={() => setAsked(number)}>
                      {say("rules.rollBack")}
                    </Button>
                  ) : null}
                </div>
              )}
              {opened === number && in_force ? (
                <Differences type={name} first={in_force.rules} second={number} />
              ) : null}
            </li>
          )
        })}
      </ul>
      {asked === null ? null : (
        <ActivateDialog versions={versions} rules={asked} onClose={() => setAsked(null)} />
      )}
    </Card>
  )
}

function origin({ source, by, why }: TypeVersion): string {
  return [say(`rules.sources.${source}`), by, why].filter(Boolean).join(" · ")
}
