/** The figures that say in one look whether this is a quiet day. */
import { Link } from "@tanstack/react-router"
import type { ReactNode } from "react"
import type { FleetSummary } from "@/api/schema"
import { behindAt, isDelayed } from "@/api/stream"
import { useStream, useStreamStatus } from "@/api/useStream"
import { PriorityMark } from "@/components/PriorityMark"
import { PRIORITIES } from "@/components/tokens"
import { useNow } from "@/components/useNow"
import { count, share, short } from "@/words/figures"
import { say } from "@/words/say"
import { span } from "@/words/times"
import { AlertRate } from "./AlertRate"
import css from "./Kpis.module.css"

export function Kpis({ summary }: { readonly summary: FleetSummary | undefined }) {
  const status = useStreamStatus()
  useNow()
  const behindMs = behindAt(status, Date.now())
  const isOld = status.phase === "reconnecting" || isDelayed(behindMs)
  return (
    <section className={css.strip} data-old={isOld} aria-label={say("app.status")}>
      <Kpi
        title={say("overview.reporting")}
        figure={summary && count(summary.reporting)}
        to={{ status: "stale" }}
        help={
          summary &&
          [
            say("overview.reportingOf", { n: count(summary.devices) }),
            summary.stale > 0 ? say("overview.stale", { n: count(summary.stale) }) : "",
            summary.silent > 0 ? say("overview.silent", { n: count(summary.silent) }) : "",
          ]
            .filter(Boolean)
            .join(" · ")
        }
      />
      <Kpi
        title={say("overview.health")}
        figure={summary && count(summary.health.below_50)}
        to={{ filter: "health < 50", sort: "health" }}
        help={
          summary &&
          (summary.health.known > 0
            ? say("overview.healthShare", {
                share: share(summary.health.below_50 / summary.health.known),
                n: count(summary.health.known),
              })
            : say("overview.healthNone"))
        }
      />
      <Kpi
        title={say("overview.unacknowledged")}
        figure={summary && count(total(summary.alerts.unacknowledged))}
        help={summary && <Waiting summary={summary} />}
      />
      <AlertRate />
      <Kpi
        title={say("overview.readings")}
        figure={summary && say("overview.perSecond", { n: short(summary.readings_per_s) })}
        help={say("overview.durable")}
      />
      <Behind behindMs={behindMs} />
    </section>
  )
}

interface KpiProps {
  readonly title: string
  /** Nothing while it is not known yet. */
  readonly figure: ReactNode
  readonly help: ReactNode
  /** The devices behind the figure. */
  readonly to?: { readonly filter?: string; readonly sort?: string; readonly status?: string }
}

export function Kpi({ title, figure, help, to }: KpiProps) {
  const text = <span className={css.figure}>{figure ?? "\u00a0"}</span>
  return (
    <div className={css.kpi}>
      <h2 className={css.title}>{title}</h2>
      {to ? (
        <Link to="/devices" search={to}>
          {text}
        </Link>
      ) : (
        text
      )}
      <div className={css.help}>{help ?? "\u00a0"}</div>
    </div>
  )
}

function Waiting({ summary }: { readonly summary: FleetSummary }) {
  const { unacknowledged, ...standing } = summary.alerts
  const marked = PRIORITIES.filter((priority) => unacknowledged[priority] > 0)
  return (
    <span className={css.waiting}>
      {marked.slice(0, 2).map((priority) => (
        <span key={priority} className={css.mark}>
          <PriorityMark priority={priority} />
          {count(unacknowledged[priority])}
        </span>
      ))}
      <span>{say("overview.unacknowledgedOf", { n: count(total(standing)) })}</span>
    </span>
  )
}

function Behind({ behindMs }: { readonly behindMs: number | null }) {
  const stream = useStream()
  const p99 = stream.behindQuantile(0.99)
  return (
    <Kpi
      title={say("overview.behind")}
      figure={behindMs === null ? "–" : span(Math.max(100, behindMs))}
      help={
        p99 === null
          ? say("overview.behindWait")
          : say("overview.behindHelp", { p99: span(Math.max(100, p99)), n: stream.measured })
      }
    />
  )
}

function total(counts: Readonly<Record<(typeof PRIORITIES)[number], number>>): number {
  return PRIORITIES.reduce((sum, priority) => sum + counts[priority], 0)
}
