/** What to do about the device: which failure mode explains what is seen, how sure that is, why, and the actions against it. */
import { useQuery } from "@tanstack/react-query"
import { adviceQuery } from "@/api/queries"
import type { Recommendation, TypeInfo } from "@/api/schema"
import { Card } from "@/components/Card"
import { channelTitle } from "@/components/channelTitle"
import { PriorityMark } from "@/components/PriorityMark"
import { quantity, share } from "@/words/figures"
import { say, sayOf } from "@/words/say"
import css from "./AdviceCard.module.css"

interface Props {
  readonly id: string
  readonly type: TypeInfo | undefined
}

export function AdviceCard({ id, type }: Props) {
  const { data } = useQuery(adviceQuery(id))
  if (!data || data.items.length === 0) return null
  return (
    <Card title={say("advice.title")}>
      <ul>
        {data.items.map((item) => (
          <li key={item.id} className={css.advice}>
            <h3 className={css.mode}>
              {item.priority ? <PriorityMark priority={item.priority} /> : null}
              {item.title ?? say("advice.unexplained")}
              <span className={css.faint}>{say(`advice.confidence.${item.confidence}`)}</span>
            </h3>
            <p className={css.faint}>{say("advice.because", { why: reasons(item, type) })}</p>
            <ol className={css.actions}>
              {item.actions.map((action) => (
                <li key={action.name} className={css.action}>
                  <span>{action.title}</span>
                  <span className={css.faint}>{effort(action)}</span>
                </li>
              ))}
            </ol>
            {item.actions.length === 0 ? responses(item).map((text) => <p key={text}>{text}</p>) : null}
          </li>
        ))}
      </ul>
    </Card>
  )
}

function reasons({ why }: Recommendation, type: TypeInfo | undefined): string {
  return why
    .map((sign) => {
      if (sign.kind === "alert") return sign.title
      if (sign.kind === "prognosis") return say("advice.forecast", { share: share(sign.p_fail_7d) })
      return say("device.indicator", {
        channel: channelTitle(type, sign.channel),
        indicator: sayOf("patterns", sign.pattern, sign.pattern),
      })
    })
    .join("; ")
}

function effort({ duration_h, crew }: Recommendation["actions"][number]): string {
  return [quantity(duration_h, "h", 2), say("advice.crew", { n: crew })].join(" · ")
}

function responses({ why }: Recommendation): string[] {
  return why.flatMap((sign) => (sign.kind === "alert" && sign.response ? [sign.response] : []))
}
