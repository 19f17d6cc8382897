/** What is forecast of the device: when it fails, how surely, by what, and what moved the forecast. */
import { useQuery } from "@tanstack/react-query"
import { prognosisQuery } from "@/api/queries"
import type {
  ContributionItem,
  DevicePrognosis,
  HealthyLikeness,
  ModePrognosis,
  TypeInfo,
} from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { channelTitle } from "@/components/channelTitle"
import { UNLIKE } from "@/components/likeness"
import { change, fixed, share } from "@/words/figures"
import { say } from "@/words/say"
import { span } from "@/words/times"
import { FailureCurve } from "./FailureCurve"
import css from "./PrognosisCard.module.css"

const HOUR_MS = 3_600_000
/** The part that a channel has in it being unlike healthy ones. */
const WORTH_NAMING = 0.15

export function PrognosisCard({ id, type }: { readonly id: string; readonly type: TypeInfo | undefined }) {
  const told = useQuery(prognosisQuery(id)).data
  if (!told || told.model_version === null) return null
  const [any, ...modes] = told.modes
  return (
    <Card
      title={say("prognosis.title")}
      hint={say("prognosis.model", { version: told.model_version })}
      aside={told.predicted_at ? <Age at={told.predicted_at} /> : undefined}
    >
      {!any ? <CannotSay told={told} /> : <Known told={told} any={any} modes={modes} type={type} />}
      {told.healthy ? <p className={css.healthy}>{healthyText(told.healthy, type)}</p> : null}
    </Card>
  )
}

function CannotSay({ told }: { readonly told: DevicePrognosis }) {
  return (
    <div className={css.part}>
      <p className={css.unknown}>{say("prognosis.cannotSay")}</p>
      <p className={css.help}>
        {say(told.in_distribution === false ? "prognosis.unlike" : "prognosis.notHeard")}
      </p>
    </div>
  )
}

interface Props {
  readonly told: DevicePrognosis
  readonly any: ModePrognosis
  readonly modes: readonly ModePrognosis[]
  readonly type: TypeInfo | undefined
}

function Known({ told, any, modes, type }: Props) {
  const horizonH = told.horizon_h ?? 0
  return (
    <>
      <div className={css.part}>
        <p>
          <span className={css.figure}>{hours(any.rul_p50_h, told.curve?.hours.at(-1))}</span>
          <span className={css.help}>{say("prognosis.median")}</span>
        </p>
        <p className={css.help}>
          {say("prognosis.interval", {
            low: hours(any.rul_p05_h, told.curve?.hours.at(-1)),
            high: hours(any.rul_p95_h, told.curve?.hours.at(-1)),
          })}
        </p>
      </div>
      {told.curve ? <FailureCurve curve={told.curve} untilH={upTo(any, horizonH)} /> : null}
      <dl>
        {(
          [
            ["prognosis.day", any.p_fail_24h],
            ["prognosis.week", any.p_fail_7d],
            ["prognosis.month", any.p_fail_30d],
          ] as const
        ).map(([word, p]) => (
          <div key={word} className={css.row}>
            <dt>{say(word)}</dt>
            <dd>{share(p)}</dd>
          </div>
        ))}
      </dl>
      {modes.length > 0 ? (
        <>
          <h3 className={css.sub}>{say("prognosis.modes")}</h3>
          <dl>
            {modes.map((mode) => (
              <div key={mode.failure_mode} className={css.row}>
                <dt>{mode.title ?? mode.failure_mode}</dt>
                <dd>{share(mode.share)}</dd>
              </div>
            ))}
          </dl>
        </>
      ) : null}
      {told.contributions && told.contributions.length > 0 ? (
        <>
          <h3 className={css.sub}>{say("prognosis.why")}</h3>
          <dl>
            {told.contributions.map((each) => (
              <div key={each.channel ?? ""} className={css.row}>
                <dt>{why(each, type)}</dt>
                <dd>{moved(each.hours)}</dd>
              </div>
            ))}
          </dl>
        </>
      ) : null}
    </>
  )
}

/** Whether it is like healthy devices of its type, and the channels by which it is not. */
export function healthyText({ like_healthy, channels }: HealthyLikeness, type: TypeInfo | undefined): string {
  if (like_healthy > UNLIKE) return say("prognosis.likeHealthy", { share: share(like_healthy) })
  const most = channels.filter((each, place) => place === 0 || each.share >= WORTH_NAMING)
  return say("prognosis.unlikeHealthy", {
    share: share(like_healthy),
    channels: most.map(({ channel }) => channelTitle(type, channel)).join(", "),
  })
}

/** The channel, and where it lies: "Vibration, 3.1 σ above the norm". */
function why({ channel, now_sd, age_h }: ContributionItem, type: TypeInfo | undefined): string {
  if (channel === null) return say("prognosis.age", { age: span((age_h ?? 0) * HOUR_MS) })
  const name = channelTitle(type, channel)
  if (now_sd === null) return name
  return say(now_sd < 0 ? "prognosis.below" : "prognosis.above", {
    channel: name,
    sd: fixed(Math.abs(now_sd), 1),
  })
}

/** Hours with their sign, in days where that is easier to read. */
export function moved(h: number): string {
  const days = Math.abs(h) >= 96
  return `${change(days ? h / 24 : h, Math.abs(days ? h / 24 : h) < 10 ? 1 : 0)}\u202f${days ? "d" : "h"}`
}

/** A remaining life; without one it is longer than the longest that is known. */
export function hours(h: number | null, longestH = 0): string {
  return h === null
    ? say("prognosis.beyond", { span: span(longestH * HOUR_MS) })
    : span(Math.max(h, 0) * HOUR_MS)
}

/** How far the curve is drawn: to where failure is all but sure, at least to a tenth of the horizon. */
export function upTo({ rul_p95_h }: Pick<ModePrognosis, "rul_p95_h">, horizonH: number): number {
  return rul_p95_h === null ? horizonH : Math.min(horizonH, Math.max(1.25 * rul_p95_h, horizonH / 10))
}
