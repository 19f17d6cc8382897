/** Which rules of which devices ask too much, and the worst floods; each leads to where it can be mended or looked at. */
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { typesQuery } from "@/api/queries"
import type { AlertKpis, RaisedBy } from "@/api/schema"
import { Card } from "@/components/Card"
import { count, share } from "@/words/figures"
import { say } from "@/words/say"
import { exact, moment, parse, span } from "@/words/times"
import css from "./cards.module.css"

interface Props {
  readonly kpis: AlertKpis
  readonly period: string
}

export function Culprits({ kpis, period }: Props) {
  return (
    <Card
      title={say("kpis.badActors")}
      hint={
        kpis.share_of_ten_worst === null
          ? period
          : say("kpis.badActorsHelp", { share: share(kpis.share_of_ten_worst), period })
      }
    >
      {kpis.bad_actors.length === 0 ? <p className={css.none}>{say("kpis.noBadActors")}</p> : null}
      <ul>
        {kpis.bad_actors.map((actor) => (
          <Line key={`${actor.device_id} ${actor.rule}`} actor={actor} aside={share(actor.share)} />
        ))}
      </ul>
    </Card>
  )
}

export function Chattering({ kpis, period }: Props) {
  return (
    <Card title={say("kpis.chattering")} hint={say("kpis.chatteringHelp", { period })}>
      {kpis.chattering.length === 0 ? <p className={css.none}>{say("kpis.noChattering")}</p> : null}
      <ul>
        {kpis.chattering.map((actor) => (
          <Line key={`${actor.device_id} ${actor.rule}`} actor={actor} />
        ))}
      </ul>
    </Card>
  )
}

export function WorstFloods({ kpis, period }: Props) {
  return (
    <Card title={say("kpis.worstFloods")} hint={period}>
      {kpis.worst_floods.length === 0 ? <p className={css.none}>{say("kpis.noFloods")}</p> : null}
      <ul>
        {kpis.worst_floods.map(({ start, end, alerts }) => {
          const [from, to] = [parse(start) ?? 0, parse(end) ?? 0]
          return (
            <li key={start} className={css.line}>
              <Link to="/alerts/journal" search={{ start: from, end: to }} className={css.what}>
                <time dateTime={start} title={exact(from)}>
                  {moment(from)}
                </time>
              </Link>
              <span className={css.aside}>{say("kpis.lasted", { span: span(to - from) })}</span>
              <span className={css.number}>{say("kpis.alerts", { n: alerts, shown: count(alerts) })}</span>
            </li>
          )
        })}
      </ul>
    </Card>
  )
}

function Line({ actor, aside }: { readonly actor: RaisedBy; readonly aside?: string }) {
  const { device_id, alerts } = actor
  return (
    <li className={css.line}>
      <span className={css.what}>
        <Link to="/devices/$id" params={{ id: device_id }} preload={false}>
          {device_id}
        </Link>
        <RuleLink actor={actor} />
      </span>
      <span className={css.aside}>{aside}</span>
      <span className={css.number}>{say("kpis.alerts", { n: alerts, shown: count(alerts) })}</span>
    </li>
  )
}

/** To the rule where it is written. */
function RuleLink({ actor: { type, rule } }: { readonly actor: RaisedBy }) {
  const rules = useQuery(typesQuery).data?.find(({ name }) => name === type)?.rules
  return (
    <Link to="/alerts/rules/$type" params={{ type }} search={{ rule }} className={css.rule}>
      {rules?.find(({ name }) => name === rule)?.title || rule}
    </Link>
  )
}
