/** The pages about alerts beside each other: the console, how the alerts treat people, what was done, and the rules. */
import { Link } from "@tanstack/react-router"
import { say } from "@/words/say"
import css from "./AlertNav.module.css"

export function AlertNav() {
  return (
    <nav className={css.nav} aria-label={say("alerts.pages")}>
      <Link to="/alerts" className={css.link} activeOptions={{ exact: true, includeSearch: false }}>
        {say("alerts.console")}
      </Link>
      <Link to="/alerts/journal" className={css.link} activeOptions={{ includeSearch: false }}>
        {say("journal.title")}
      </Link>
      <Link to="/alerts/kpis" className={css.link} activeOptions={{ includeSearch: false }}>
        {say("kpis.title")}
      </Link>
      <Link to="/alerts/rules" className={css.link} activeOptions={{ includeSearch: false }}>
        {say("rules.title")}
      </Link>
    </nav>
  )
}
