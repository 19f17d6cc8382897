/** What each arm came to by each metric, and how it differs from the reference, future by future. */
import type { ArmResult, ExperimentResults, MetricResult } from "@/api/whatif"
import { Card } from "@/components/Card"
import { count, share } from "@/words/figures"
import { say } from "@/words/say"
import css from "./ResultTable.module.css"
import {
  betterText,
  differenceHelp,
  differenceText,
  isTold,
  metricTitle,
  type Scale,
  scaleOfResult,
  unitNote,
  valueText,
} from "./resultText"

export function ResultTable({ results }: { readonly results: ExperimentResults }) {
  const { metrics, reference, replications: n, is_partial, level } = results
  const arms = metrics[0]?.arms.map(({ arm }) => arm) ?? []
  const from = is_partial ? "whatif.partial" : "whatif.whole"
  return (
    <Card
      className={css.whole}
      title={say("whatif.results")}
      hint={say(from, { n, shown: count(n) })}
      aside={say("whatif.level", { level: share(level) })}
    >
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard (WCAG 2.1.1) */}
      <section className={css.scroll} aria-label={say("whatif.results")} tabIndex={0}>
        <table className={css.table}>
          <thead>
            <tr>
              <th>{say("whatif.metric")}</th>
              {arms.map((arm) => (
                <th key={arm} data-align="right">
                  {arm}
                  {arm === reference ? <span className={css.note}> {say("whatif.reference")}</span> : null}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {metrics.map((metric) => (
              <Row key={metric.metric} found={metric} reference={reference} />
            ))}
          </tbody>
        </table>
      </section>
      {arms.length > 1 ? <p className={css.foot}>{say("whatif.greyHelp")}</p> : null}
    </Card>
  )
}

function Row({ found, reference }: { readonly found: MetricResult; readonly reference: string }) {
  const scale = scaleOfResult(found)
  return (
    <tr>
      <th scope="row">
        {metricTitle(found.metric)}
        <span className={css.note}>
          {unitNote(found.metric, scale)}, {say(`whatif.better.${found.better}`)}
        </span>
      </th>
      {found.arms.map((arm) => (
        <td key={arm.arm} data-title={arm.arm} data-align="right">
          <Cell arm={arm} scale={scale} isReference={arm.arm === reference} />
        </td>
      ))}
    </tr>
  )
}

function Cell({
  arm,
  scale,
  isReference,
}: {
  readonly arm: ArmResult
  readonly scale: Scale
  readonly isReference: boolean
}) {
  const { difference, undefined: missing } = arm
  const mean = valueText(arm, scale)
  const found = difference && differenceText(difference, scale)
  return (
    <>
      <span className={css.value}>
        {mean.value} <span className={css.interval}>{mean.interval}</span>
      </span>
      {found && !isReference ? (
        <span className={css.difference} data-told={isTold(difference)} title={differenceHelp(difference)}>
          {found.value} {found.interval}
          {isTold(difference) ? null : <span className="visually-hidden">{say("whatif.equal")}</span>}
          <span className={css.better}>{betterText(difference)}</span>
        </span>
      ) : null}
      {missing > 0 ? (
        <span className={css.note}>{say("whatif.undefinedN", { n: missing, shown: count(missing) })}</span>
      ) : null}
    </>
  )
}
