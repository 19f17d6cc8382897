/** The whole fleet on one page: what is abnormal, where, and what to look at first. */
import { Link, useNavigate } from "@tanstack/react-router"
import { useState } from "react"
import { Card } from "@/components/Card"
import { FleetMap, type Pointed } from "@/components/fleetmap/FleetMap"
import { Empty, Failed, Skeleton } from "@/components/states"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { Kpis } from "./Kpis"
import { LastHour } from "./LastHour"
import { LikelyToFail } from "./LikelyToFail"
import { MapLegend } from "./MapLegend"
import { MapTip } from "./MapTip"
import { NewestAlerts } from "./NewestAlerts"
import css from "./OverviewPage.module.css"
import { Places } from "./Places"
import { useOverview } from "./useOverview"
import { WorstDevices } from "./WorstDevices"
import { WorthDoing } from "./WorthDoing"

export function OverviewPage() {
  const { summary, map, cells, openCell, isEmpty, error, retry } = useOverview()
  const navigate = useNavigate()
  const [perCell, setPerCell] = useState(1)

  if (error) return <Failed error={error} retry={retry} />
  if (isEmpty) return <FirstStart />
  const open = async (pointed: Pointed) => {
    const id = await openCell(pointed)
    if (id) navigate({ to: "/devices/$id", params: { id } })
  }
  return (
    <>
      <header className={css.header}>
        <h1 className={css.title}>{say("pages.overview")}</h1>
        {summary ? (
          <span className={css.extent}>
            {say("overview.extent", {
              n: summary.devices,
              shown: count(summary.devices),
              sites: count(summary.site_count),
              types: count(summary.types.length),
            })}
          </span>
        ) : null}
      </header>
      <Kpis summary={summary} />
      <div className={css.wide}>
        <Card
          title={say("overview.fleet")}
          hint={`${perCell === 1 ? say("map.one") : say("map.many", { n: count(perCell) })} · ${say("overview.bySite")}`}
          className={css.map}
        >
          <div className={css.mapBody}>
            {map ? (
              <FleetMap fleet={map} summary={cells.summary} onOpen={open} Tip={MapTip} onScale={setPerCell} />
            ) : (
              <div className={css.mapWait}>
                <Skeleton rows={8} />
              </div>
            )}
          </div>
          <MapLegend counts={cells.counts} />
        </Card>
        <NewestAlerts className={css.newest} />
      </div>
      <div className={css.below}>
        <WorthDoing />
        <WorstDevices />
        <LikelyToFail />
        <LastHour />
        <Places
          title={say("overview.types")}
          by="type"
          rows={summary?.types.map(({ type, devices }) => ({ name: type, devices }))}
        />
        <Places
          title={say("overview.sites")}
          by="site"
          rows={summary?.sites.map(({ site, devices }) => ({ name: site, devices }))}
        />
      </div>
    </>
  )
}

function FirstStart() {
  return (
    <section className={css.first}>
      <h1 className="visually-hidden">{say("pages.overview")}</h1>
      <Empty title={say("overview.empty")}>{say("overview.emptyHelp")}</Empty>
      <div className={css.ways}>
        <code>{say("overview.emptySimulate")}</code>
        <code>{say("overview.emptySend")}</code>
        <Link to="/devices" className={css.quiet}>
          {say("overview.allDevices")}
        </Link>
      </div>
    </section>
  )
}
