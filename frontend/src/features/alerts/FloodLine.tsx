/** What a flood is and does to this page, while one is on. */
import { Button } from "@mantine/core"
import type { AlertKpis } from "@/api/schema"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { clock, parse } from "@/words/times"
import css from "./FloodLine.module.css"

interface Props {
  readonly kpis: AlertKpis
  readonly isFolded: boolean
  readonly onFold: (folded: boolean) => void
}

export function FloodLine({ kpis, isFolded, onFold }: Props) {
  const since = parse(kpis.flooded_since)
  if (since === null) return null
  return (
    <div className={css.line} role="status">
      <strong>{say("alerts.flood", { time: clock(since, false) })}</strong>
      <span>
        {say(isFolded ? "alerts.floodFolded" : "alerts.floodOpen", { n: count(kpis.most_in_10_min) })}
      </span>
      <Button className={css.fold} onClick={() => onFold(!isFolded)}>
        {say(isFolded ? "alerts.floodShow" : "alerts.floodFold")}
      </Button>
    </div>
  )
}
