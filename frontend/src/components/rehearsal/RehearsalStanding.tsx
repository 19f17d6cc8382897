/** How far a job is that runs all devices, and what it has come to so far. */
import type { ReactNode } from "react"
import type { JobItem } from "@/api/schema"
import { share } from "@/words/figures"
import { say } from "@/words/say"
import css from "./rehearsal.module.css"

interface Props {
  readonly job: JobItem
  /** What it has come to so far. */
  readonly children: ReactNode
}

export function RehearsalStanding({ job, children }: Props) {
  const isOpen = job.state === "queued" || job.state === "running"
  return (
    <div className={css.panel}>
      {job.state === "done" ? null : (
        <div className={css.line} role={job.state === "failed" ? "alert" : "status"}>
          <strong>{say(`rehearsal.states.${job.state}`)}</strong>
          {isOpen ? (
            <progress className={css.progress} aria-label={say("jobs.progress")} value={job.progress ?? 0} />
          ) : null}
          {isOpen && job.progress !== null ? share(job.progress) : null}
          <span className={css.muted}>{job.message}</span>
          {job.code ? <span className={css.muted}>{say("problems.code", { code: job.code })}</span> : null}
        </div>
      )}
      {children}
    </div>
  )
}
