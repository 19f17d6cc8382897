/** The health score and what it is made of: 100 less the points that each channel costs. */
import { useQuery } from "@tanstack/react-query"
import { conditionQuery } from "@/api/queries"
import type { DeviceDetail, TypeInfo } from "@/api/schema"
import { channelTitle } from "@/components/channelTitle"
import { change, count, fixed, share, health as whole } from "@/words/figures"
import { say, sayOf } from "@/words/say"
import { now, span } from "@/words/times"
import css from "./HealthCard.module.css"

const WEEK_S = 7 * 86_400
const LEAST_MS = 5 * 60_000
/** A score that rests on less than this share of the channels says nothing. */
const LEAST_OBSERVED = 0.005

export function HealthCard({
  device,
  type,
}: {
  readonly device: DeviceDetail
  readonly type: TypeInfo | undefined
}) {
  const { id, health, observed, breakdown, baseline } = device
  const before = useQuery(conditionQuery(id, { lastS: WEEK_S })).data
  const first = before?.health.findIndex((each) => each !== null) ?? -1
  const was = before?.health[first]
  const at = before?.time[first]
  const passed = at === undefined ? 0 : now() - at
  const rows = whatCosts(device)
  const judged = health !== null && (observed === null || observed >= LEAST_OBSERVED)
  return (
    <section className={css.card} aria-label={say("device.health")}>
      <div className={css.head}>
        <h2 className={css.title}>{say("device.health")}</h2>
        {!judged ? (
          <>
            <p className={css.unknown}>
              {say(health === null ? "device.healthUnknown" : "device.healthBlind")}
            </p>
            {health === null ? null : <p className={css.help}>{say("device.healthBlindHelp")}</p>}
            {baseline.learned ? null : (
              <p className={css.help}>{say("device.healthLearning", { n: count(baseline.readings) })}</p>
            )}
          </>
        ) : (
          <p>
            <span className={css.figure}>{whole(health)}</span>
            <span className={css.help}>
              {say("device.of100")}
              {was !== undefined && was !== null && passed > LEAST_MS
                ? `, ${say("device.was", { health: whole(was), span: span(passed) })}`
                : ""}
            </span>
          </p>
        )}
        {judged && observed !== null && observed < 0.995 ? (
          <p className={css.help}>{say("device.observed", { share: share(observed) })}</p>
        ) : null}
      </div>
      {!judged ? null : rows.length === 0 ? (
        <p className={css.row}>{say("device.nothingCosts")}</p>
      ) : (
        <dl>
          {rows.map(({ channel, indicator, points }) => (
            <div key={`${channel} ${indicator}`} className={css.row}>
              <dt>
                {channel
                  ? say("device.indicator", {
                      channel: channelTitle(type, channel),
                      indicator: sayOf("patterns", indicator, indicator.replaceAll("_", " ")),
                    })
                  : say("device.rest")}
              </dt>
              <dd>{change(-points, 1)}</dd>
            </div>
          ))}
        </dl>
      )}
      {judged && breakdown.length > 0 ? (
        <p className={css.sum}>
          {say("device.breakdownSum", { points: fixed(100 - health, 1), health: fixed(health, 1) })}
        </p>
      ) : null}
    </section>
  )
}

const SHOWN = 6

/** The dearest few, and all the others as one, so that what is shown adds up to the score. */
export function whatCosts({ breakdown, health }: Pick<DeviceDetail, "breakdown" | "health">) {
  if (health === null) return []
  const dear = breakdown
    .filter(({ points }) => points >= 0.05)
    .sort((a, b) => b.points - a.points)
    .slice(0, SHOWN)
  const rest = 100 - health - dear.reduce((sum, { points }) => sum + points, 0)
  return Math.abs(rest) < 0.05 ? dear : [...dear, { channel: "", indicator: "", points: rest }]
}
