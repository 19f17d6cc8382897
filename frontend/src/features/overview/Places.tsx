/** How the fleet divides: by type, or by site. Each row leads to its devices. */
import { Link } from "@tanstack/react-router"
import { Card } from "@/components/Card"
import { Skeleton } from "@/components/states"
import { count, share } from "@/words/figures"
import { say } from "@/words/say"
import css from "./rows.module.css"

interface Props {
  readonly title: string
  readonly by: "type" | "site"
  readonly rows: readonly { readonly name: string; readonly devices: number }[] | undefined
}

const SHOWN = 6

export function Places({ title, by, rows }: Props) {
  const all = rows?.reduce((sum, { devices }) => sum + devices, 0) ?? 0
  const largest = [...(rows ?? [])].sort((a, b) => b.devices - a.devices).slice(0, SHOWN)
  return (
    <Card title={title} aside={rows ? count(rows.length) : ""}>
      {rows ? (
        <ul className={css.scroll}>
          {largest.map(({ name, devices }) => (
            <li key={name}>
              <Link to="/devices" search={{ [by]: name }} className={css.place}>
                <span className={css.device}>{name || say("app.none")}</span>
                <span>{count(devices)}</span>
                <span>{share(devices / all)}</span>
              </Link>
            </li>
          ))}
        </ul>
      ) : (
        <Skeleton rows={SHOWN} />
      )}
    </Card>
  )
}
