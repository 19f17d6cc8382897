/** The devices that are likeliest to fail within a week, as the models in force see it. */
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { fewDevicesQuery } from "@/api/queries"
import { Card } from "@/components/Card"
import { Empty, Failed, Skeleton } from "@/components/states"
import { share } from "@/words/figures"
import { say } from "@/words/say"
import { span } from "@/words/times"
import css from "./rows.module.css"

const SHOWN = 6
const HOUR_MS = 3_600_000

export function LikelyToFail() {
  const { data, error, refetch } = useQuery(
    fewDevicesQuery({ filter: "p_fail_7d is not null and not retired", sort: "-p_fail_7d" }, SHOWN),
  )
  return (
    <Card
      title={say("prognosis.likeliest")}
      aside={
        <Link to="/devices" search={{ sort: "-p_fail_7d" }} className={css.all}>
          {say("overview.allDevices")}
        </Link>
      }
    >
      {error && !data ? (
        <Failed error={error} retry={refetch} />
      ) : !data ? (
        <Skeleton rows={SHOWN} />
      ) : data.items.length === 0 ? (
        <Empty title={say("prognosis.none")}>{say("prognosis.noneHelp")}</Empty>
      ) : (
        <ul className={css.scroll}>
          {data.items.map(({ id, p_fail_7d, rul_p50_h }) => (
            <li key={id}>
              <Link to="/devices/$id" params={{ id }} className={css.device_row}>
                <span className={css.device}>{id}</span>
                <span>{share(p_fail_7d)}</span>
                <span className={css.age}>
                  {rul_p50_h === null ? "" : say("prognosis.left", { span: span(rul_p50_h * HOUR_MS) })}
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}
