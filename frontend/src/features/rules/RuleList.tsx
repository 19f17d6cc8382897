/** The rules in force: when each raises an alert, how urgent that is, what follows and what to do. */
import { useEffect, useRef } from "react"
import type { RuleInfo } from "@/api/schema"
import { Card } from "@/components/Card"
import { PriorityMark } from "@/components/PriorityMark"
import { say } from "@/words/say"
import css from "./rules.module.css"

interface Props {
  readonly rules: readonly RuleInfo[]
  /** The rule that the address names: it is marked and scrolled to. */
  readonly chosen: string | undefined
}

export function RuleList({ rules, chosen }: Props) {
  const marked = useRef<HTMLLIElement>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: another choice is another place to scroll to
  useEffect(() => marked.current?.scrollIntoView({ block: "nearest" }), [chosen])
  return (
    <Card title={say("rules.rules")} hint={say("rules.count", { n: rules.length })}>
      {rules.length === 0 ? <p className={css.none}>{say("rules.none")}</p> : null}
      <ul>
        {rules.map((rule) => (
          <li
            key={rule.name}
            ref={rule.name === chosen ? marked : undefined}
            className={css.rule}
            data-chosen={rule.name === chosen || undefined}
          >
            <PriorityMark priority={rule.priority} />
            <div className={css.said}>
              <h3 className={css.name}>
                {rule.title} <code className={css.code}>{rule.name}</code>
                {rule.latch ? <span className={css.muted}>{say("rules.latches")}</span> : null}
              </h3>
              <code className={css.when}>{rule.when}</code>
              <p>{rule.response}</p>
              <p className={css.muted}>{rule.consequence}</p>
            </div>
          </li>
        ))}
      </ul>
    </Card>
  )
}
