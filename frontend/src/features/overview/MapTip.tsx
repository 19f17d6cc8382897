/** Who stands behind the cell that is pointed at: the device, or the worst of those that share it. */
import { useQuery } from "@tanstack/react-query"
import { useEffect, useState } from "react"
import { mapCellQuery } from "@/api/queries"
import { Age } from "@/components/Age"
import type { Pointed } from "@/components/fleetmap/FleetMap"
import { PriorityMark } from "@/components/PriorityMark"
import { count, health } from "@/words/figures"
import { say } from "@/words/say"
import css from "./MapTip.module.css"

const PAUSE_MS = 80

export function MapTip({ pointed }: { readonly pointed: Pointed }) {
  const { site, index, devices } = pointed
  const [asked, setAsked] = useState<Pointed | null>(null)
  useEffect(() => {
    const timer = setTimeout(() => setAsked(pointed), PAUSE_MS)
    return () => clearTimeout(timer)
  }, [pointed])
  const settled = asked?.site === site && asked.index === index
  const { data } = useQuery({ ...mapCellQuery(site, index), enabled: settled })
  return (
    <>
      {devices > 1 ? (
        <div className={css.faint}>{say("map.worstOf", { n: count(devices), site })}</div>
      ) : null}
      {data && settled ? (
        <>
          <div className={css.id}>
            {data.priority ? <PriorityMark priority={data.priority} /> : null}
            {data.id}
          </div>
          <div className={css.faint}>
            {data.type}
            {devices === 1 && site ? ` · ${site}` : ""}
          </div>
          <div>
            {data.health === null
              ? say("device.healthUnknown")
              : say("map.health", { n: health(data.health) })}
            {" · "}
            {data.event_time ? <Age at={data.event_time} /> : say("map.silent")}
          </div>
        </>
      ) : (
        <div className={css.faint}>{say("map.loading")}</div>
      )}
      <div className={css.faint}>{devices > 1 ? say("map.closer") : say("map.open")}</div>
    </>
  )
}
