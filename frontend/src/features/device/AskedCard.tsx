/** What is asked of the device beside what it reports: each difference has a word, each value its age. */
import { Button } from "@mantine/core"
import { lazy, Suspense, useState } from "react"
import type { DeviceDetail, PropertyState, TypeInfo } from "@/api/schema"
import { useMe } from "@/api/session"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { askable } from "@/components/deviceacts/asked"
import { quantity } from "@/words/figures"
import { say } from "@/words/say"
import css from "./cards.module.css"

const AskDialog = lazy(() => import("./AskDialog"))

interface Props {
  readonly device: DeviceDetail
  readonly type: TypeInfo | undefined
}

export function AskedCard({ device, type }: Props) {
  const [asking, setAsking] = useState(false)
  const me = useMe()
  const offered = askable(type, me?.role)
  if (device.properties.length === 0 && !type?.commands.length) return null
  return (
    <Card
      title={say("asked.title")}
      hint={device.open_commands > 0 ? say("asked.open", { n: device.open_commands }) : null}
      aside={
        offered.length > 0 && device.status !== "retired" ? (
          <Button size="compact-sm" onClick={() => setAsking(true)}>
            {say("asked.ask")}
          </Button>
        ) : null
      }
    >
      <dl>
        {device.properties.map((property) => (
          <div key={property.name} className={css.row}>
            <dt className={css.name} title={property.title}>
              {property.title}
            </dt>
            <dd className={css.value}>
              {property.desired ? (
                <span className={css.faint} title={wish(property)}>
                  {say(`asked.standings.${property.standing}`, {
                    value: valueText(property.desired.value, property.unit),
                  })}
                </span>
              ) : null}
              <span>{property.reported ? valueText(property.reported.value, property.unit) : "–"}</span>
              <span className={css.ageOf}>
                {property.reported ? <Age at={property.reported.at} bare /> : null}
              </span>
            </dd>
          </div>
        ))}
      </dl>
      <Suspense>
        {asking ? (
          <AskDialog
            id={device.id}
            version={device.desired_version}
            offered={offered}
            onClose={() => setAsking(false)}
          />
        ) : null}
      </Suspense>
    </Card>
  )
}

function wish({ desired }: PropertyState): string {
  if (!desired) return ""
  return desired.rejected || desired.note || say("asked.by", { by: desired.by })
}

function valueText(value: unknown, unit: string): string {
  return typeof value === "number" ? quantity(value, unit) : String(value)
}
