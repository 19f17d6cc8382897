/** What nothing, later and now come to in the device's own futures, run when somebody asks for it. */
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { simulationQuery } from "@/api/recommendations"
import type { Recommendation, RecommendationSimulation } from "@/api/schema"
import { count, share } from "@/words/figures"
import { say } from "@/words/say"
import { ago, now, parse } from "@/words/times"
import { Failed } from "../states"
import css from "./advice.module.css"
import { amount } from "./adviceText"

const NAMES = ["nothing", "later", "now"] as const

export function SimulatedCosts({ item }: { readonly item: Recommendation }) {
  const [asked, setAsked] = useState(false)
  const { data, error, isFetching, refetch } = useQuery({ ...simulationQuery(item.id), enabled: asked })
  if (!item.planned) return null
  if (!asked)
    return (
      <button
        type="button"
        className={css.quiet}
        aria-label={say("advice.simulateOf", { device: item.device_id })}
        title={say("advice.simulateHelp")}
        onClick={() => setAsked(true)}
      >
        {say("advice.simulate")}
      </button>
    )
  if (data) return <Futures of={data} />
  if (error && !isFetching) return <Failed error={error} retry={refetch} />
  return (
    <p role="status" className={css.faint}>
      {say("advice.simulating")}
    </p>
  )
}

function Futures({ of }: { readonly of: RecommendationSimulation }) {
  const least = Math.min(...NAMES.map((name) => of[name]?.cost.value ?? Number.POSITIVE_INFINITY))
  if (of.why_not) return <p className={css.faint}>{say("advice.notSimulated", { why: of.why_not })}</p>
  const at = parse(of.later_at)
  return (
    <div className={css.futures}>
      <dl className={css.costs} title={say("advice.simulateHelp")}>
        {NAMES.map((name) => {
          const option = of[name]
          if (!option) return null
          return (
            <div key={name} data-least={option.cost.value === least || undefined}>
              <dt>{say(`advice.${name}`)}</dt>
              <dd>{amount(option.cost.value)}</dd>
              <dd className={css.faint}>
                {say("advice.range", { low: amount(option.cost.low), high: amount(option.cost.high) })}
              </dd>
              <dd className={css.faint}>{say("advice.failing", { share: share(option.fails.value) })}</dd>
              {name === "later" ? (
                <dd className={css.faint}>{at === null ? say("advice.putOff") : ago(at, now())}</dd>
              ) : null}
            </div>
          )
        })}
      </dl>
      <p className={css.faint}>
        {say("advice.futures", { n: of.futures, shown: count(of.futures), level: share(of.level) })}
      </p>
    </div>
  )
}
