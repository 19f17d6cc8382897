/** The patterns seen on the device's channels at present. */
import type { DeviceType, Pattern } from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { share } from "@/words/figures"
import { say, sayOf } from "@/words/say"
import css from "./cards.module.css"
import { channelTitle } from "./useDevice"

interface Props {
  readonly patterns: readonly Pattern[]
  readonly type: DeviceType | undefined
}

export function PatternsCard({ patterns, type }: Props) {
  return (
    <Card title={say("device.patterns")}>
      {patterns.length === 0 ? (
        <p className={css.none}>{say("device.noPatterns")}</p>
      ) : (
        <ul>
          {patterns.map(({ pattern, channel, since, confidence }) => (
            <li key={`${pattern} ${channel}`} className={css.row}>
              <span className={css.name}>
                {channelTitle(type, channel)}, {sayOf("patterns", pattern, pattern)}
              </span>
              <span className={css.faint}>
                {confidence === null || confidence === undefined
                  ? ""
                  : say("device.confidence", { share: share(confidence) })}
                {since ? (
                  <>
                    {" · "}
                    <Age at={since} bare />
                  </>
                ) : null}
              </span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}
