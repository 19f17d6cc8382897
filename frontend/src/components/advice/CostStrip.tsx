/** What doing nothing, later and now are expected to cost, side by side; the cheapest is in ink. */
import type { Recommendation } from "@/api/schema"
import { say } from "@/words/say"
import css from "./advice.module.css"
import { amount, laterText } from "./adviceText"

const NAMES = ["nothing", "later", "now"] as const

export function CostStrip({ item }: { readonly item: Recommendation }) {
  const { costs } = item
  if (!costs) return null
  const least = Math.min(costs.nothing, costs.later, costs.now)
  return (
    <dl className={css.costs} title={say("advice.costsHelp", { n: costs.horizon_days })}>
      {NAMES.map((name) => (
        <div key={name} data-least={costs[name] === least || undefined}>
          <dt>{say(`advice.${name}`)}</dt>
          <dd>{amount(costs[name])}</dd>
          {name === "later" ? <dd className={css.faint}>{laterText(item)}</dd> : null}
        </div>
      ))}
    </dl>
  )
}
