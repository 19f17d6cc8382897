/** Alerts per hour against what a person can answer. */
import { useQuery } from "@tanstack/react-query"
import { alertKpisQuery } from "@/api/queries"
import { quantity, short } from "@/words/figures"
import { say } from "@/words/say"
import { Kpi } from "./Kpis"

export function AlertRate() {
  const { data } = useQuery(alertKpisQuery(24))
  return (
    <Kpi
      title={say("overview.alertRate")}
      figure={data && quantity(data.per_hour, "", 2)}
      help={data && say("overview.alertRateHelp", { n: short(data.acceptable_per_hour) })}
    />
  )
}
