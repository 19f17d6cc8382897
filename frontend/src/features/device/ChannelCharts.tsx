/** Every channel of a device on one time axis: one cursor, one zoom, alerts and patterns where they happened. */
import { Button } from "@mantine/core"
import type { DeviceDetail, DeviceHistory, Expected, Series, TypeInfo } from "@/api/schema"
import { Card } from "@/components/Card"
import { Chip } from "@/components/Chip"
import { channelTitle } from "@/components/channelTitle"
import { saveCsv } from "@/components/csv"
import { SeriesChart } from "@/components/SeriesChart"
import { Empty, Failed, Skeleton } from "@/components/states"
import { fixed, quantity, unitText } from "@/words/figures"
import { say } from "@/words/say"
import { moment, span } from "@/words/times"
import { inShownUnit, shownUnit } from "@/words/units"
import css from "./ChannelCharts.module.css"
import { historyCsv } from "./historyCsv"
import { PRESETS, type Preset, useCharts } from "./useCharts"

interface Props {
  readonly device: DeviceDetail
  readonly type: TypeInfo | undefined
}

const HEALTH_AXIS = [0, 100] as const
const SCORE_AXIS = [0, 1] as const

export function ChannelCharts({ device, type }: Props) {
  const charts = useCharts(device, type)
  const { preset, start, end, units, channels, bucketS, condition, prognoses, moments, stretches } = charts
  const names = namesOf(type, channels)
  const shared = {
    start,
    end,
    moments,
    group: `device ${device.id}`,
    onZoom: charts.zoomTo,
    onBack: charts.back,
  }
  const hasPrognoses = prognoses?.p_fail_7d.some((value) => value !== null) ?? false
  const hasCondition = condition?.health.some((value) => value !== null) ?? false
  return (
    <Card
      title={
        preset ? say(`device.last.${preset}`) : say("device.from", { start: moment(start), end: moment(end) })
      }
      hint={
        charts.isPending
          ? ""
          : bucketS
            ? say("device.bucket", { bucket: span(bucketS * 1000) })
            : say("device.everyReading")
      }
      aside={
        <div className={css.tools}>
          <span className={css.moves}>
            <Button onClick={() => charts.shift(-0.5)} aria-label={say("device.earlier")}>
              ‹
            </Button>
            <Button onClick={() => charts.shift(0.5)} aria-label={say("device.later")}>
              ›
            </Button>
            <Button onClick={() => charts.zoomBy(0.5)} aria-label={say("device.zoomIn")}>
              +
            </Button>
            <Button onClick={() => charts.zoomBy(2)} aria-label={say("device.zoomOut")}>
              −
            </Button>
          </span>
          {preset ? null : <Button onClick={charts.reset}>{say("device.resetZoom")}</Button>}
          {charts.history && !charts.isEmpty ? (
            <Button onClick={() => charts.history && save(device.id, charts.history, type)}>
              {say("device.csv")}
            </Button>
          ) : null}
          {(Object.keys(PRESETS) as Preset[]).map((each) => (
            <Chip key={each} pressed={each === preset} onClick={() => charts.choose(each)}>
              {say(`device.range.${each}`)}
            </Chip>
          ))}
        </div>
      }
    >
      {charts.error ? (
        <Failed error={charts.error} retry={charts.retry} />
      ) : charts.isPending ? (
        <Skeleton rows={4} height={126} />
      ) : names.length === 0 || charts.isEmpty ? (
        <Empty title={say("device.noHistory")}>{say("device.noHistoryHelp")}</Empty>
      ) : (
        <div data-stale={charts.isStale} className={css.stack}>
          {hasCondition && condition ? (
            <SeriesChart
              {...shared}
              title={say("device.conditionChart")}
              unit=""
              label={labelOf(say("device.conditionChart"), "", {
                time: condition.time,
                value: condition.health,
              })}
              series={{ time: condition.time, value: condition.health }}
              axis={HEALTH_AXIS}
              height={84}
            />
          ) : null}
          {hasCondition && condition ? (
            <SeriesChart
              {...shared}
              title={say("device.anomaly")}
              unit=""
              label={labelOf(say("device.anomaly"), "", {
                time: condition.time,
                value: condition.anomaly_score,
              })}
              series={{ time: condition.time, value: condition.anomaly_score }}
              axis={SCORE_AXIS}
              height={64}
            />
          ) : null}
          {hasPrognoses && prognoses ? (
            <SeriesChart
              {...shared}
              title={say("prognosis.chart")}
              unit=""
              label={labelOf(say("prognosis.chart"), "", {
                time: prognoses.time,
                value: prognoses.p_fail_7d,
              })}
              series={{ time: prognoses.time, value: prognoses.p_fail_7d }}
              axis={SCORE_AXIS}
              height={64}
            />
          ) : null}
          {names.map((name, i) => {
            const series = channels[name] ?? EMPTY
            const unit = shownUnit(units[name] ?? "")
            const expected = expectedOf(device.values[name]?.expected, units[name])
            return (
              <SeriesChart
                key={name}
                {...shared}
                title={channelTitle(type, name)}
                unit={unit}
                label={labelOf(channelTitle(type, name), unit, series, expected)}
                series={series}
                expected={expected}
                stretches={stretches.get(name)}
                withTimes={i === names.length - 1}
              />
            )
          })}
          <p className={css.help}>
            {say("device.zoomHelp")}
            {names.some((name) => device.values[name]?.expected) ? (
              <span className={css.key}>
                <span className={css.band} aria-hidden /> {say("device.keyExpected")}
              </span>
            ) : null}
            <span className={css.key}>
              <span className={css.strip} aria-hidden /> {say("device.keyPattern")}
            </span>
            <span className={css.key}>
              <span className={css.dashes} aria-hidden /> {say("device.keyMoment")}
            </span>
          </p>
        </div>
      )}
    </Card>
  )
}

function save(id: string, history: DeviceHistory, type: TypeInfo | undefined): void {
  const name = `${id.replace(/[^\w.-]/g, "_")}_${history.start.slice(0, 16).replace(":", "")}.csv`
  saveCsv(name, [historyCsv(history, type)])
}

const EMPTY: Series = { time: [], value: [] }

/** What is measured first, what the device is asked to do last. */
function namesOf(type: TypeInfo | undefined, channels: Readonly<Record<string, Series>>): string[] {
  const known = type?.channels ?? []
  const rank = (name: string) => {
    const at = known.findIndex((channel) => channel.name === name)
    return at < 0 ? known.length : at + (known[at]?.condition ? known.length : 0)
  }
  return Object.keys(channels).sort((a, b) => rank(a) - rank(b))
}

function expectedOf(expected: Expected | null | undefined, unit = ""): Expected | null {
  return expected ? { low: inShownUnit(expected.low, unit), high: inShownUnit(expected.high, unit) } : null
}

function labelOf(channel: string, unit: string, series: Series, expected: Expected | null = null): string {
  const lows = (series.min ?? series.value ?? []).filter((value) => value !== null)
  const highs = (series.max ?? series.value ?? []).filter((value) => value !== null)
  const least = lows.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  const greatest = highs.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const measured = say("device.chartLabel", {
    channel,
    unit: unitText(unit),
    value: unit ? quantity(highs.at(-1), unit) : fixed(highs.at(-1), 0),
    low: quantity(least),
    high: quantity(greatest),
  })
  if (!expected) return measured
  const { low, high } = expected
  return `${measured} ${say("device.expectedLabel", { low: quantity(low), high: quantity(high) })}`
}
