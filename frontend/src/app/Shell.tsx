/** What stays while pages change: the rail, the top bar, notices, and the lines about the connection. */
import { useQuery } from "@tanstack/react-query"
import { Link, Outlet, useNavigate } from "@tanstack/react-router"
import { lazy, Suspense, useRef, useState } from "react"
import { reaches } from "@/api/accounts"
import { summaryQuery } from "@/api/queries"
import { useMe } from "@/api/session"
import { Mark } from "@/components/Mark"
import { Notices } from "@/components/notices"
import { PRIORITIES } from "@/components/tokens"
import { useKeys } from "@/components/useKeys"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { ConnectionLine } from "./ConnectionLine"
import css from "./Shell.module.css"
import { TopBar } from "./TopBar"
import { useKeptSettings } from "./useKeptSettings"
import { useSounds } from "./useSounds"

const Palette = lazy(() => import("./palette/Palette"))
const Shortcuts = lazy(() => import("./Shortcuts"))

export function Shell() {
  const search = useRef<HTMLInputElement>(null)
  const navigate = useNavigate()
  const [sheet, setSheet] = useState<"palette" | "shortcuts" | null>(null)
  useKeptSettings()
  useSounds()
  useKeys({
    "mod+k": () => setSheet("palette"),
    "/": () => search.current?.select(),
    "?": () => setSheet("shortcuts"),
    "1": () => navigate({ to: "/" }),
    "2": () => navigate({ to: "/devices" }),
    "3": () => navigate({ to: "/alerts" }),
  })
  return (
    <div className={css.shell}>
      <a className={css.skip} href="#page">
        {say("app.skip")}
      </a>
      <Link to="/" className={css.brand} aria-label={say("app.name")}>
        <Mark />
        <span className={css.brandName}>{say("app.name")}</span>
      </Link>
      <TopBar searchRef={search} />
      <Rail />
      <main id="page" className={css.page} tabIndex={-1}>
        <ConnectionLine />
        <Outlet />
      </main>
      <Notices />
      <Suspense>
        {sheet === "palette" ? <Palette onClose={() => setSheet(null)} /> : null}
        {sheet === "shortcuts" ? <Shortcuts onClose={() => setSheet(null)} /> : null}
      </Suspense>
    </div>
  )
}

function Rail() {
  const { data } = useQuery(summaryQuery)
  const role = useMe()?.role
  const waiting = data ? PRIORITIES.reduce((sum, each) => sum + data.alerts.unacknowledged[each], 0) : null
  return (
    <nav className={css.rail} aria-label={say("app.navigation")}>
      <Link to="/" className={css.link} activeOptions={{ exact: true, includeSearch: false }}>
        <span>{say("pages.overview")}</span>
      </Link>
      <Link to="/devices" className={css.link} activeOptions={{ includeSearch: false }}>
        <span>{say("pages.devices")}</span>
        <span className={css.count}>{data ? count(data.devices) : ""}</span>
      </Link>
      <Link to="/alerts" className={css.link} activeOptions={{ includeSearch: false }}>
        <span>{say("pages.alerts")}</span>
        <span
          className={css.count}
          title={waiting === null ? "" : say("priority.unacknowledged", { n: count(waiting) })}
        >
          {waiting === null ? "" : count(waiting)}
        </span>
      </Link>
      <Link to="/recommendations" className={css.link} data-wide activeOptions={{ includeSearch: false }}>
        <span>{say("pages.recommendations")}</span>
      </Link>
      <Link to="/whatif" className={css.link} data-wide activeOptions={{ includeSearch: false }}>
        <span>{say("pages.whatif")}</span>
      </Link>
      <Link to="/models" className={css.link} data-wide>
        <span>{say("pages.models")}</span>
      </Link>
      <div className={css.gap} />
      {reaches(role, "operator") ? (
        <Link to="/notifications" className={css.link} data-wide activeOptions={{ includeSearch: false }}>
          <span>{say("pages.notifications")}</span>
        </Link>
      ) : null}
      {reaches(role, "engineer") ? (
        <Link to="/admin" className={css.link} data-wide activeOptions={{ includeSearch: false }}>
          <span>{say("pages.admin")}</span>
        </Link>
      ) : null}
      <Link to="/settings" className={css.link}>
        <span>{say("pages.settings")}</span>
      </Link>
    </nav>
  )
}
