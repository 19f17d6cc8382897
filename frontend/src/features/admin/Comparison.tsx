/** Two versions of a type, or of its rules, held against each other. */
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import type { TypeSearch } from "@/addresses"
import { differencesQuery } from "@/api/types"
import { Card } from "@/components/Card"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import css from "./admin.module.css"
import { Changes } from "./Changes"

export function Comparison({ name, part = "type", first = 1, second = 1 }: TypeSearch & { name: string }) {
  const { data, error, refetch } = useQuery(differencesQuery(name, part, first, second))
  return (
    <Card
      className={css.whole}
      title={say(part === "type" ? "types.comparedType" : "types.comparedRules", { first, second })}
      aside={
        <Link to="/admin/types/$name" params={{ name }} className={css.link}>
          {say("app.close")}
        </Link>
      }
    >
      {error ? <Failed error={error} retry={refetch} /> : null}
      {data ? <Changes changes={data.changes} /> : error ? null : <Skeleton rows={2} />}
    </Card>
  )
}
