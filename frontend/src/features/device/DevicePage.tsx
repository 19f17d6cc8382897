/** One device: how well it is and why, every channel on one time axis, and what happened to it. */
import { Button } from "@mantine/core"
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router"
import { lazy, Suspense, useState } from "react"
import { reaches } from "@/api/accounts"
import { ApiError } from "@/api/client"
import { useMe } from "@/api/session"
import { Age } from "@/components/Age"
import { quote } from "@/components/filterline/completion"
import { Status } from "@/components/Status"
import { Empty, Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import { span } from "@/words/times"
import { AdviceCard } from "./AdviceCard"
import { AlertsCard } from "./AlertsCard"
import { AskedCard } from "./AskedCard"
import { ChannelCharts } from "./ChannelCharts"
import css from "./DevicePage.module.css"
import { HealthCard } from "./HealthCard"
import { MaintenanceCard } from "./MaintenanceCard"
import { PatternsCard } from "./PatternsCard"
import { PrognosisCard } from "./PrognosisCard"
import { RawTwin } from "./RawTwin"
import { Timeline } from "./Timeline"
import { useDevice } from "./useDevice"
import { ValuesCard } from "./ValuesCard"

const MaintenanceDialog = lazy(() => import("./MaintenanceDialog"))
const route = getRouteApi("/devices/$id")

export function DevicePage() {
  const { id } = route.useParams()
  return <Device key={id} id={id} />
}

/** Of one device only: what is being asked of it is never asked of the next. */
function Device({ id }: { readonly id: string }) {
  const { device, type, error, retry } = useDevice(id)
  const role = useMe()?.role
  const navigate = useNavigate()
  const mayAct = reaches(role, "operator")
  const [logging, setLogging] = useState(false)

  if (error instanceof ApiError && error.status === 404)
    return (
      <Empty
        wholePage
        title={say("device.notFound", { id })}
        action={<Link to="/devices">{say("overview.allDevices")}</Link>}
      >
        {say("device.notFoundHelp")}
      </Empty>
    )
  if (error) return <Failed error={error} retry={retry} />
  if (!device) return <Waiting id={id} />

  const facts = [
    type?.title || device.type,
    device.site,
    device.parent ? say("device.parent", { parent: device.parent }) : "",
  ]
  return (
    <>
      <header className={css.header}>
        <h1 className={css.title}>{device.id}</h1>
        <p className={css.facts}>
          {device.name ? <span>{device.name}</span> : null}
          {facts.filter(Boolean).map((fact) => (
            <span key={fact}>{fact}</span>
          ))}
          {device.interval_s ? (
            <span>{say("device.everyS", { interval: span(device.interval_s * 1000) })}</span>
          ) : null}
          <span>
            {device.event_time ? (
              <>
                {say("device.lastReading", { age: "" })}
                <Age at={device.event_time} />
              </>
            ) : (
              say("device.neverHeard")
            )}
          </span>
          {device.status === "reporting" ? null : <Status status={device.status} />}
        </p>
        <div className={css.acts}>
          {reaches(role, "engineer") ? (
            <Button onClick={() => navigate({ to: "/whatif/new", search: { devices: `id = ${quote(id)}` } })}>
              {say("pages.askWhatIf")}
            </Button>
          ) : null}
          {mayAct ? <Button onClick={() => setLogging(true)}>{say("device.maintenance")}</Button> : null}
        </div>
      </header>
      <div className={css.columns}>
        <div className={css.side}>
          <HealthCard device={device} type={type} />
          <AlertsCard alerts={device.alerts} />
          <PrognosisCard id={id} type={type} />
          <AdviceCard id={id} type={type} />
          <PatternsCard device={device} type={type} />
          <ValuesCard device={device} type={type} />
          <AskedCard device={device} type={type} />
        </div>
        <div className={css.main}>
          <ChannelCharts device={device} type={type} />
          <MaintenanceCard id={id} type={type} />
          <Timeline id={id} type={type} />
          <RawTwin device={device} />
        </div>
      </div>
      <Suspense>
        {logging ? <MaintenanceDialog id={id} type={type} onClose={() => setLogging(false)} /> : null}
      </Suspense>
    </>
  )
}

function Waiting({ id }: { readonly id: string }) {
  return (
    <>
      <header className={css.header}>
        <h1 className={css.title}>{id}</h1>
      </header>
      <div className={css.columns}>
        <div className={css.side}>
          <section className={css.blank}>
            <Skeleton rows={8} />
          </section>
        </div>
        <div className={css.main}>
          <section className={css.blank}>
            <Skeleton rows={5} height={120} />
          </section>
        </div>
      </div>
    </>
  )
}
