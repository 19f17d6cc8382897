/** What a rehearsal came to: alerts a day before and after with the interval of the difference, by rule, and examples. */
import { Link } from "@tanstack/react-router"
import type { Rehearsal, RehearsedAlert, RehearsedRule } from "@/api/schema"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { change, count, quantity, share } from "@/words/figures"
import { say } from "@/words/say"
import { moment, parse, span } from "@/words/times"
import css from "./rehearsal.module.css"

const MARGIN_MS = 30 * 60_000

interface Props {
  readonly found: Rehearsal
  /** What the changed side is called in the table. */
  readonly after?: string
  /** Of another text than the one beside it. */
  readonly isOld?: boolean
}

export function RehearsalResult({ found, after = say("rehearsal.after"), isOld = false }: Props) {
  const { in_all, rules, peak, examples } = found
  const { rate } = in_all
  const raising = rules.filter(({ before, after }) => before + after > 0)
  const silent = rules.length - raising.length
  return (
    <div className={css.result} data-old={isOld || undefined}>
      <p className={css.figure}>
        {quantity(rate.before, "", 3)} → {quantity(rate.after, "", 3)}{" "}
        <span className={css.per}>{say("rehearsal.perDay", { n: found.of_devices })}</span>
      </p>
      <p>{differenceText(found)}</p>
      <p className={css.muted}>{basisText(found)}</p>
      {found.shortened ? <p>{say(`rehearsal.shortened.${found.shortened}`)}</p> : null}
      {found.put_aside > 0 ? <p>{say("rehearsal.putAside", { n: found.put_aside })}</p> : null}
      <p>{say("rehearsal.peak", { before: count(peak.before), after: count(peak.after) })}</p>
      <div className={css.table}>
        <PlainTable
          label={say("rehearsal.byRule")}
          columns={columnsOf(after)}
          rows={raising.sort((a, b) => differing(b) - differing(a))}
          rowId={({ rule }) => rule}
          empty={say("rehearsal.noAlerts")}
        />
      </div>
      {raising.length > 0 && silent > 0 ? (
        <p className={css.muted}>{say("rehearsal.silent", { n: silent })}</p>
      ) : null}
      {examples.length > 0 ? (
        <details>
          <summary className={css.summary}>{say("rehearsal.examples", { n: examples.length })}</summary>
          <ul>
            {examples.map((example) => (
              <Example key={JSON.stringify(example)} example={example} />
            ))}
          </ul>
        </details>
      ) : null}
    </div>
  )
}

function Example({
  example: { device_id, rule, change, before, after },
}: {
  readonly example: RehearsedAlert
}) {
  const times = [before, after].map((stretch) => parse(stretch?.raised)).filter((at) => at !== null)
  const start = Math.min(...times) - MARGIN_MS
  const end = Math.max(...times) + MARGIN_MS
  return (
    <li className={css.example}>
      <span>{say(`rehearsal.changes.${change}`)}</span>
      <Link to="/devices/$id" params={{ id: device_id }} search={{ start, end }} className={css.link}>
        {device_id}
      </Link>
      <code>{rule}</code>
      <span className={css.muted}>{times.map(moment).join(" → ")}</span>
    </li>
  )
}

function columnsOf(after: string): PlainColumn<RehearsedRule>[] {
  const figure = (id: "before" | "after" | "appeared" | "vanished" | "moved") =>
    ({
      id,
      title: id === "after" ? after : say(`rehearsal.${id}`),
      align: "right",
      cell: (rule: RehearsedRule) => count(rule[id]),
    }) as const
  return [
    { id: "rule", title: say("rehearsal.rule"), wraps: true, cell: ({ rule }) => <code>{rule}</code> },
    figure("before"),
    figure("after"),
    figure("appeared"),
    figure("vanished"),
    figure("moved"),
    { id: "shift", title: say("rehearsal.shift"), align: "right", cell: shiftText },
  ]
}

function shiftText({ shift_s }: RehearsedRule): string {
  if (shift_s === null) return ""
  return say(shift_s < 0 ? "rehearsal.earlier" : "rehearsal.later", { span: span(Math.abs(shift_s) * 1000) })
}

function differing({ appeared, vanished, moved }: RehearsedRule): number {
  return appeared + vanished + moved
}

/** By how much, and how sure that is. */
function differenceText({ in_all: { rate }, differing, devices, may_differ }: Rehearsal): string {
  if (differing === 0)
    return may_differ === null
      ? say("rehearsal.noneDiffers")
      : say("rehearsal.mayDiffer", { share: share(may_differ) })
  const difference = rateChange(rate.difference)
  const facts = { difference, n: differing, devices: count(devices) }
  if (rate.low === null || rate.high === null) return say("rehearsal.difference", facts)
  return say("rehearsal.differenceWithin", {
    ...facts,
    low: rateChange(rate.low),
    high: rateChange(rate.high),
  })
}

function rateChange(perDay: number): string {
  return change(perDay, Math.abs(perDay) < 10 ? 1 : 0)
}

function basisText({ devices, of_devices, readings, start, end, seed }: Rehearsal): string {
  const window = {
    start: moment(parse(start) ?? 0),
    end: moment(parse(end) ?? 0),
    readings: count(readings),
    n: devices,
    shown: count(devices),
  }
  if (devices === of_devices) return say("rehearsal.basisAll", window)
  return say("rehearsal.basis", { ...window, all: count(of_devices), seed })
}
