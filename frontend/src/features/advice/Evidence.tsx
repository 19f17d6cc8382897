/** One recommendation opened in its row: what it costs, why, what to do, what happened before, and what can be decided. */
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { recommendationQuery } from "@/api/recommendations"
import type { Recommendation, RecommendationDetail, TypeInfo } from "@/api/schema"
import { AdviceActs } from "@/components/advice/AdviceActs"
import { amount, effortText, reasonText, signFacts } from "@/components/advice/adviceText"
import { CostStrip } from "@/components/advice/CostStrip"
import { SimulatedCosts } from "@/components/advice/SimulatedCosts"
import { count, share } from "@/words/figures"
import { say } from "@/words/say"
import { day, parse, span } from "@/words/times"
import css from "./RecommendationsPage.module.css"

interface Props {
  readonly item: Recommendation
  readonly type: TypeInfo | undefined
}

const HOUR_MS = 3_600_000
/** What the API says of recommendations that nobody has tried. */
const UNTRIED = 0.5

export function Evidence({ item, type }: Props) {
  const { data } = useQuery(recommendationQuery(item.id))
  return (
    <div role="row" tabIndex={-1}>
      <div role="cell" className={css.detail}>
        {item.costs ? <CostStrip item={item} /> : <p className={css.faint}>{say("advice.noCosts")}</p>}
        <SimulatedCosts item={item} />
        <div className={css.parts}>
          <section aria-label={say("advice.why")}>
            <h3 className={css.heading}>{say("advice.why")}</h3>
            <ul>
              {item.why.map((sign) => (
                <li key={JSON.stringify(sign)}>
                  {reasonText(sign, type)} <span className={css.faint}>{signFacts(sign)}</span>
                </li>
              ))}
              {item.why.flatMap((sign) =>
                sign.kind === "alert" && item.actions.length === 0 && sign.response
                  ? [<li key={sign.response}>{sign.response}</li>]
                  : [],
              )}
              {item.confirmed === UNTRIED ? null : (
                <li className={css.faint}>{say("advice.confirmed", { share: share(item.confirmed) })}</li>
              )}
            </ul>
          </section>
          {item.actions.length > 0 ? <Actions item={item} /> : null}
          <section aria-label={say("advice.past")}>
            <h3 className={css.heading}>{say("advice.past")}</h3>
            <Past cases={data?.cases} />
          </section>
        </div>
        {item.decision?.note ? (
          <p className={css.faint}>
            {item.decision.by}: {item.decision.note}
          </p>
        ) : null}
        <div className={css.foot}>
          <AdviceActs item={item} />
          <Link to="/devices/$id" params={{ id: item.device_id }} className={css.go}>
            {say("alerts.goToDevice")} →
          </Link>
        </div>
      </div>
    </div>
  )
}

function Actions({ item: { actions } }: { readonly item: Recommendation }) {
  return (
    <section aria-label={say("advice.actions")}>
      <h3 className={css.heading}>{say("advice.actions")}</h3>
      <table className={css.actions}>
        <thead className="visually-hidden">
          <tr>
            <th>{say("advice.action")}</th>
            <th>{say("advice.effort")}</th>
            <th>{say("advice.now")}</th>
          </tr>
        </thead>
        <tbody>
          {actions.map((action) => (
            <tr key={action.name}>
              <td>{action.title}</td>
              <td className={css.faint}>{effortText(action)}</td>
              <td className={css.figure}>{amount(action.now)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

function Past({ cases }: { readonly cases: RecommendationDetail["cases"] | undefined }) {
  if (cases === undefined) return <p className={css.faint}>…</p>
  if (cases === null || cases.count === 0) return <p className={css.faint}>{say("advice.pastNone")}</p>
  return (
    <ul>
      <li>
        {say("advice.pastCount", { n: cases.count, shown: count(cases.count), failed: count(cases.failed) })}
      </li>
      {cases.warning_h === null ? null : (
        <li>{say("advice.pastWarned", { span: span(cases.warning_h * HOUR_MS), n: count(cases.warned) })}</li>
      )}
      {cases.newest.map(({ record, device_id, kind, at, note }) => (
        <li key={record} className={css.faint}>
          {day(parse(at) ?? 0)}{" "}
          <Link to="/devices/$id" params={{ id: device_id }} className={css.inline}>
            {device_id}
          </Link>{" "}
          {say(`maintenance.kinds.${kind}`)}
          {note ? `: ${note}` : ""}
        </li>
      ))}
    </ul>
  )
}
