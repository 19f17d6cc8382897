/** The latest value of every channel, with its age; a stale one is outlined, a bad one says so. */
import type { DeviceDetail, TypeInfo } from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { channelTitle } from "@/components/channelTitle"
import { say } from "@/words/say"
import { measured } from "@/words/units"
import css from "./cards.module.css"

interface Props {
  readonly device: DeviceDetail
  readonly type: TypeInfo | undefined
}

export function ValuesCard({ device: { values, baseline, life_cycle }, type }: Props) {
  return (
    <Card title={say("device.values")}>
      <dl>
        {Object.entries(values).map(([name, { value, unit, time, quality }]) => (
          <div key={name} className={css.row}>
            <dt className={css.name} title={channelTitle(type, name)}>
              {channelTitle(type, name)}
            </dt>
            <dd className={css.value}>
              <span className={css.measured} data-quality={quality ?? "none"}>
                {measured(value, unit)}
                {quality === "BAD" ? " BAD" : ""}
              </span>
              <span className={css.ageOf}>
                <Age at={time} bare />
              </span>
            </dd>
          </div>
        ))}
        <div className={css.row}>
          <dt className={css.name}>{say("device.baseline")}</dt>
          <dd className={css.faint}>
            {say(baseline.learned ? "device.learned" : "device.learning", { n: baseline.readings })}
          </dd>
        </div>
        <div className={css.row}>
          <dt className={css.name}>{say("device.lifeCycle")}</dt>
          <dd className={css.faint}>{life_cycle}</dd>
        </div>
      </dl>
    </Card>
  )
}
