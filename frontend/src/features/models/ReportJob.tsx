/** A report on all devices, which runs as a job: how far it is, and what it has come to so far. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { isOpen, jobQuery, useCancelJob } from "@/api/platform"
import type { PromotionReport } from "@/api/schema"
import { Card } from "@/components/Card"
import { Problem } from "@/components/Problem"
import { RehearsalStanding } from "@/components/rehearsal/RehearsalStanding"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import css from "./models.module.css"
import { Reported } from "./Reported"

export function ReportJob({ id, onClose }: { readonly id: string; readonly onClose: () => void }) {
  const { data: job, error, refetch } = useQuery(jobQuery(id))
  const cancel = useCancelJob()
  const acts = (
    <>
      {job && isOpen(job) ? (
        <Button disabled={job.cancelling || cancel.isPending} onClick={() => cancel.mutate(id)}>
          {say("rehearsal.stop")}
        </Button>
      ) : null}
      <Button onClick={onClose}>{say("app.close")}</Button>
    </>
  )
  return (
    <Card
      className={css.whole}
      title={say("promotion.whole")}
      hint={job ? say("rehearsal.by", { by: job.by }) : ""}
      aside={acts}
      padded
    >
      <Problem error={cancel.error} />
      {job ? (
        <RehearsalStanding job={job}>
          {job.result ? <Reported found={job.result as unknown as PromotionReport} /> : null}
        </RehearsalStanding>
      ) : error ? (
        <Failed error={error} retry={refetch} />
      ) : (
        <Skeleton rows={3} />
      )}
    </Card>
  )
}
