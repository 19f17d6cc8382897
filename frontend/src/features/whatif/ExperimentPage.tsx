/** One experiment: how far it has come. */
import { useQuery } from "@tanstack/react-query"
import { getRouteApi, Link } from "@tanstack/react-router"
import { experimentQuery } from "@/api/whatif"
import page from "@/components/page.module.css"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import "./words"
import { Standing } from "./Standing"
import css from "./whatif.module.css"

const route = getRouteApi("/whatif/$id")

export function ExperimentPage() {
  const { id } = route.useParams()
  const { data, error, refetch } = useQuery(experimentQuery(id))
  if (!data) return error ? <Failed error={error} retry={refetch} /> : <Skeleton rows={10} />
  return (
    <header className={page.header}>
      <Link to="/whatif" className={css.link}>
        {say("whatif.title")}
      </Link>
      <h1 className={page.title}>{data.title || data.name}</h1>
      <Standing experiment={data} />
    </header>
  )
}
