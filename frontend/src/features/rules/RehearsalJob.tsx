/** A rehearsal of all devices, which runs as a job: how far it is, and what it has come to so far. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { isOpen, jobQuery, useCancelJob } from "@/api/platform"
import type { JobItem, Rehearsal } from "@/api/schema"
import { Card } from "@/components/Card"
import { Problem } from "@/components/Problem"
import { Failed, Skeleton } from "@/components/states"
import { share } from "@/words/figures"
import { say } from "@/words/say"
import { RehearsalResult } from "./RehearsalResult"
import css from "./rehearsal.module.css"

interface Props {
  readonly id: string
  readonly onClose: () => void
}

export function RehearsalJob({ id, onClose }: Props) {
  const { data: job, error, refetch } = useQuery(jobQuery(id))
  const cancel = useCancelJob()
  return (
    <Card
      title={say("rehearsal.whole")}
      hint={job ? say("rehearsal.by", { by: job.by }) : ""}
      aside={
        <>
          {job && isOpen(job) ? (
            <Button disabled={job.cancelling || cancel.isPending} onClick={() => cancel.mutate(id)}>
              {say("rehearsal.stop")}
            </Button>
          ) : null}
          <Button onClick={onClose}>{say("app.close")}</Button>
        </>
      }
    >
      <Problem error={cancel.error} />
      {error && !job ? <Failed error={error} retry={refetch} /> : job ? <Standing job={job} /> : null}
      {job || error ? null : <Skeleton rows={3} />}
    </Card>
  )
}

function Standing({ job }: { readonly job: JobItem }) {
  const found = job.result as Rehearsal | null
  return (
    <div className={css.panel}>
      {job.state === "done" ? null : (
        <div className={css.line} role={job.state === "failed" ? "alert" : "status"}>
          <strong>{say(`rehearsal.states.${job.state}`)}</strong>
          {isOpen(job) ? (
            <progress className={css.progress} aria-label={say("jobs.progress")} value={job.progress ?? 0} />
          ) : null}
          {isOpen(job) && job.progress !== null ? share(job.progress) : null}
          <span className={css.muted}>{job.message}</span>
          {job.code ? <span className={css.muted}>{say("problems.code", { code: job.code })}</span> : null}
        </div>
      )}
      {found ? <RehearsalResult found={found} /> : null}
    </div>
  )
}
