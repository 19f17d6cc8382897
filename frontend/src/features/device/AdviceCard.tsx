/** What to do about the device: which failure mode explains what is seen, why, what it costs, by when, and what was decided. */
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { adviceQuery } from "@/api/queries"
import type { Recommendation, TypeInfo } from "@/api/schema"
import { AdviceActs } from "@/components/advice/AdviceActs"
import { decisionText, dueText, effortText, modeText, reasonText } from "@/components/advice/adviceText"
import { CostStrip } from "@/components/advice/CostStrip"
import { Card } from "@/components/Card"
import { PriorityMark } from "@/components/PriorityMark"
import { say } from "@/words/say"
import css from "./AdviceCard.module.css"

interface Props {
  readonly id: string
  readonly type: TypeInfo | undefined
}

export function AdviceCard({ id, type }: Props) {
  const { data } = useQuery(adviceQuery(id))
  if (!data || data.items.length === 0) return null
  return (
    <Card
      title={say("advice.title")}
      aside={
        <Link to="/recommendations" search={{ device: id }}>
          {say("advice.why")}
        </Link>
      }
    >
      <ul>
        {data.items.map((item) => (
          <li key={item.id} className={css.advice} data-aside={isAside(item) || undefined}>
            <h3 className={css.mode}>
              {item.priority ? <PriorityMark priority={item.priority} /> : null}
              <span>
                {modeText(item)}{" "}
                <span className={css.faint}>
                  {say(`advice.confidence.${item.confidence}`)}
                  {item.due ? ` · ${say("advice.due")} ${dueText(item.due)}` : ""}
                </span>
              </span>
            </h3>
            {item.decision ? <p className={css.faint}>{decisionText(item)}</p> : null}
            {isAside(item) ? null : <Open item={item} type={type} />}
          </li>
        ))}
      </ul>
    </Card>
  )
}

function Open({ item, type }: { readonly item: Recommendation; readonly type: TypeInfo | undefined }) {
  const why = item.why.map((sign) => reasonText(sign, type)).join("; ")
  return (
    <>
      <p className={css.faint}>{say("advice.because", { why })}</p>
      <CostStrip item={item} />
      <ol className={css.actions}>
        {item.actions.map((action) => (
          <li key={action.name} className={css.action}>
            <span>{action.title}</span>
            <span className={css.faint}>{effortText(action)}</span>
          </li>
        ))}
      </ol>
      {item.actions.length === 0 ? responses(item).map((text) => <p key={text}>{text}</p>) : null}
      <AdviceActs item={item} />
    </>
  )
}

/** What was dismissed or done is told in a line. */
function isAside({ decision }: Recommendation): boolean {
  return decision !== null && decision.state !== "accepted"
}

function responses({ why }: Recommendation): string[] {
  return why.flatMap((sign) => (sign.kind === "alert" && sign.response ? [sign.response] : []))
}
