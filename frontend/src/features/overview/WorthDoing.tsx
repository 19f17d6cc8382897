/** The few acts that are worth most now, by what they save; each leads to its evidence. */
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { fewRecommendationsQuery } from "@/api/recommendations"
import { amount, dueText, modeText } from "@/components/advice/adviceText"
import { Card } from "@/components/Card"
import { Empty, Failed, Skeleton } from "@/components/states"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import css from "./rows.module.css"

const SHOWN = 5

export function WorthDoing() {
  const { data, error, refetch } = useQuery(fewRecommendationsQuery(SHOWN))
  const items = (data?.items ?? []).filter(({ stake }) => (stake ?? 0) > 0)
  return (
    <Card
      title={say("advice.worth")}
      aside={
        <Link to="/recommendations" className={css.all}>
          {data ? say("advice.all", { n: data.total, shown: count(data.total) }) : ""}
        </Link>
      }
    >
      {error && !data ? (
        <Failed error={error} retry={refetch} />
      ) : !data ? (
        <Skeleton rows={SHOWN} />
      ) : items.length === 0 ? (
        <Empty title={say("advice.worthNone")}>{say("advice.worthNoneHelp")}</Empty>
      ) : (
        <ul className={css.scroll}>
          {items.map((item) => (
            <li key={item.id}>
              <Link
                to="/recommendations"
                search={{ sort: "stake", shown: item.id }}
                className={css.worth}
                title={modeText(item)}
              >
                <span className={css.device}>{item.actions[0]?.title ?? modeText(item)}</span>
                <span>{say("advice.saves", { amount: amount(item.stake) })}</span>
                <span className={css.device} data-faint>
                  {item.device_id}
                </span>
                <span className={css.age}>{dueText(item.due)}</span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}
