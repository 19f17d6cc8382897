/** One's own account, and how one wants to see and hear the fleet. */
import { Link } from "@tanstack/react-router"
import { reaches } from "@/api/accounts"
import { useMe } from "@/api/session"
import { say } from "@/words/say"
import { AccountCard, type AccountProps } from "./AccountCard"
import { ScreenCard } from "./ScreenCard"
import { SessionsCard } from "./SessionsCard"
import css from "./SettingsPage.module.css"
import { SoundsCard } from "./SoundsCard"

export function SettingsPage(account: AccountProps) {
  const role = useMe()?.role
  return (
    <>
      <header className={css.header}>
        <h1 className={css.title}>{say("settings.title")}</h1>
        <nav className={css.links} aria-label={say("settings.more")}>
          {reaches(role, "operator") ? (
            <Link to="/notifications" className={css.link}>
              {say("pages.notifications")}
            </Link>
          ) : null}
          {reaches(role, "engineer") ? (
            <Link to="/admin" className={css.link}>
              {say("pages.admin")}
            </Link>
          ) : null}
        </nav>
      </header>
      <div className={css.cards}>
        <AccountCard {...account} />
        <ScreenCard />
        <SoundsCard />
        <SessionsCard />
      </div>
    </>
  )
}
