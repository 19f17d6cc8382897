/** What happened to one alert, newest first: every transition and comment, by whom and why. */
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { alertStoryQuery } from "@/api/queries"
import type { AlertItem } from "@/api/schema"
import { Age } from "@/components/Age"
import { eventText, reasonOf } from "@/components/eventText"
import { say } from "@/words/say"
import css from "./AlertStory.module.css"

export function AlertStory({ alert }: { readonly alert: AlertItem }) {
  const { device_id, rule } = alert
  const { data } = useQuery(alertStoryQuery(alert))
  return (
    <section className={css.story} aria-label={say("alerts.story")}>
      <h3 className={css.title}>
        {say("alerts.story")}
        <Link to="/alerts/journal" search={{ device: device_id, rule, range: "30d" }} className={css.all}>
          {say("alerts.storyAll")}
        </Link>
      </h3>
      {/* As high as most stories are, so that what is below stays where it is. */}
      <ol className={css.list}>
        {data?.items.map((event) => (
          <li key={event.id} className={css.line}>
            <Age at={event.at} bare />
            <span>{eventText(event, event.title)}</span>
            <span className={css.who}>{String(event.detail.by ?? "")}</span>
            <span className={css.why}>{reasonOf(event)}</span>
          </li>
        ))}
      </ol>
    </section>
  )
}
