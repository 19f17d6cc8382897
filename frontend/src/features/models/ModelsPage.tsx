/** The versions of each type's model: which is in force, how well each did, and putting one in force. */
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { driftQuery, modelsQuery } from "@/api/models"
import { typesQuery } from "@/api/queries"
import type { ModelItem } from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import page from "@/components/page.module.css"
import { Empty, Failed, Skeleton } from "@/components/states"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { ModelAct } from "./ModelAct"
import { metricText } from "./metricText"
import css from "./models.module.css"
import { RoleChip } from "./RoleChip"
import { TrainAct } from "./TrainAct"

export function ModelsPage() {
  const { data, error, refetch } = useQuery(modelsQuery)
  const titles = new Map(useQuery(typesQuery).data?.map(({ name, title }) => [name, title]))
  const models = data?.items ?? []
  const types = [...new Set(models.map(({ type }) => type))]
  return (
    <>
      <header className={page.header}>
        <h1 className={page.title}>{say("models.title")}</h1>
        <span className={css.muted}>{say("models.help")}</span>
        <TrainAct />
      </header>
      {data ? null : error ? <Failed error={error} retry={refetch} /> : <Skeleton rows={6} />}
      {data && types.length === 0 ? <Empty title={say("models.none")}>{say("models.noneHelp")}</Empty> : null}
      {types.map((type) => (
        <OfType
          key={type}
          title={titles.get(type) ?? type}
          models={models.filter((each) => each.type === type)}
        />
      ))}
    </>
  )
}

function OfType({ title, models }: { readonly title: string; readonly models: readonly ModelItem[] }) {
  const champion = models.find(({ role }) => role === "champion")
  const { data: drift } = useQuery({ ...driftQuery(models[0]?.type ?? ""), enabled: champion !== undefined })
  const inForce = champion ? say("models.inForce", { n: champion.version }) : say("models.noneInForce")
  const hint = drift?.reasons.length ? `${inForce} · ${say("models.drifts")}` : inForce
  return (
    <Card className={css.whole} title={title} hint={hint}>
      <PlainTable
        label={title}
        columns={columns()}
        rows={models}
        rowId={({ version }) => version}
        empty={say("app.none")}
      />
    </Card>
  )
}

function columns(): readonly PlainColumn<ModelItem>[] {
  return [
    {
      id: "version",
      title: say("models.version"),
      cell: ({ type, version }) => (
        <Link to="/models/$type/$version" params={{ type, version: String(version) }} className={css.link}>
          {say("models.versionN", { n: version })}
        </Link>
      ),
    },
    { id: "role", title: say("models.role"), cell: ({ role }) => <RoleChip role={role} /> },
    { id: "trained", title: say("models.trained"), cell: ({ created }) => <Age at={created} /> },
    { id: "by", title: say("models.by"), cell: ({ by }) => by },
    {
      id: "failures",
      title: say("models.failures"),
      align: "right",
      cell: ({ failures: n }) => say("models.failuresN", { n: n ?? 0, shown: count(n) }),
    },
    ...(["rmse_h", "concordance", "brier", "coverage_90"] as const).map(
      (name): PlainColumn<ModelItem> => ({
        id: name,
        title: say(`models.metrics.${name}`),
        align: "right",
        cell: ({ metrics }) => metricText(name, metrics[name]),
      }),
    ),
    { id: "act", title: "", cell: (model) => <ModelAct model={model} /> },
  ]
}
