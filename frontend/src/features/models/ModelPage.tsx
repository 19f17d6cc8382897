/** One version of a model: how well it did, whether it is better, whether it can be believed, and what it was made from. */
import { useQuery } from "@tanstack/react-query"
import { getRouteApi, Link } from "@tanstack/react-router"
import { modelQuery } from "@/api/models"
import { typesQuery } from "@/api/queries"
import type { ModelDetail } from "@/api/schema"
import page from "@/components/page.module.css"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import { Calibration } from "./Calibration"
import { Changes } from "./Changes"
import { DriftCard } from "./DriftCard"
import { Metrics } from "./Metrics"
import { ModelAct } from "./ModelAct"
import css from "./models.module.css"
import { Origin } from "./Origin"
import { PromotionPanel } from "./PromotionPanel"
import { RoleChip } from "./RoleChip"
import { TrackRecord } from "./TrackRecord"
import { VerdictCard } from "./Verdict"

const route = getRouteApi("/models/$type/$version")

export function ModelPage() {
  const { type, version } = route.useParams()
  const { data, error, refetch } = useQuery(modelQuery(type, Number(version)))
  if (data) return <Model key={`${type} ${version}`} model={data} />
  return error ? <Failed error={error} retry={refetch} /> : <Skeleton rows={10} />
}

function Model({ model }: { readonly model: ModelDetail }) {
  const { type, version, role } = model
  const { report } = route.useSearch()
  const title = useQuery(typesQuery).data?.find(({ name }) => name === type)?.title ?? type
  return (
    <>
      <header className={page.header}>
        <Link to="/models" className={css.link}>
          {say("models.title")}
        </Link>
        <h1 className={page.title}>{say("models.ofType", { type: title, n: version })}</h1>
        <RoleChip role={role} />
        <div className={css.acts}>
          <ModelAct model={model} isFirst />
        </div>
      </header>
      <Metrics model={model} />
      <div className={css.pair}>
        {role === "champion" ? <DriftCard type={type} /> : <VerdictCard type={type} version={version} />}
        <Changes type={type} />
      </div>
      {role === "champion" ? null : <PromotionPanel type={type} version={version} job={report} />}
      <Calibration calibration={model.calibration} />
      <TrackRecord type={type} version={version} />
      <Origin model={model} title={title} />
    </>
  )
}
