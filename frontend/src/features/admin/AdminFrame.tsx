/** What administration has in common: its title, its parts as the reader's role has them, and nothing for others. */
import { Link, Outlet } from "@tanstack/react-router"
import { ADMIN_PARTS } from "@/addresses"
import { reaches } from "@/api/accounts"
import { useMe } from "@/api/session"
import { Empty } from "@/components/states"
import { Tabs } from "@/components/Tabs"
import tabs from "@/components/tabs.module.css"
import { say } from "@/words/say"
import css from "./admin.module.css"

export function AdminFrame() {
  const me = useMe()
  const isEngineer = reaches(me?.role, "engineer")
  const parts = ADMIN_PARTS.filter((part) => part !== "audit" || me?.role === "admin")
  return (
    <>
      <h1 className={css.title}>{say("admin.title")}</h1>
      {isEngineer ? (
        <>
          <Tabs label={say("admin.title")}>
            {parts.map((part) => (
              <Link
                key={part}
                to={`/admin/${part}`}
                className={tabs.tab}
                activeOptions={{ includeSearch: false }}
              >
                {say(part === "people" && me?.role !== "admin" ? "admin.parts.keys" : `admin.parts.${part}`)}
              </Link>
            ))}
          </Tabs>
          <Outlet />
        </>
      ) : (
        <Empty title={say("admin.notForYou")}>{say("admin.notForYouHelp")}</Empty>
      )}
    </>
  )
}
