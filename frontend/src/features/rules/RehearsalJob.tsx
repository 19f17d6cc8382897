/** A rehearsal of all devices, which runs as a job: how far it is, and what it has come to so far. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { isOpen, jobQuery, useCancelJob } from "@/api/platform"
import type { Rehearsal } from "@/api/schema"
import { Card } from "@/components/Card"
import { Problem } from "@/components/Problem"
import { RehearsalResult } from "@/components/rehearsal/RehearsalResult"
import { RehearsalStanding } from "@/components/rehearsal/RehearsalStanding"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"

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
      {error && !job ? <Failed error={error} retry={refetch} /> : null}
      {job ? (
        <RehearsalStanding job={job}>
          {job.result ? <RehearsalResult found={job.result as unknown as Rehearsal} /> : null}
        </RehearsalStanding>
      ) : null}
      {job || error ? null : <Skeleton rows={3} />}
    </Card>
  )
}
