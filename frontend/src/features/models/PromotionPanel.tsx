/** Which past alerts a version would have changed, had it been in force: from some devices at once, from all as a job. */
import { Button } from "@mantine/core"
import { useNavigate } from "@tanstack/react-router"
import { useState } from "react"
import { reaches } from "@/api/accounts"
import { useBeginReport, useReport } from "@/api/models"
import type { PromotionReport } from "@/api/schema"
import { useMe } from "@/api/session"
import { Card } from "@/components/Card"
import { Chip } from "@/components/Chip"
import { Problem } from "@/components/Problem"
import rehearsal from "@/components/rehearsal/rehearsal.module.css"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import css from "./models.module.css"
import { Reported } from "./Reported"
import { ReportJob } from "./ReportJob"

const DAYS = [1, 7, 30] as const

interface Props {
  readonly type: string
  readonly version: number
  /** The job whose report on all devices is shown. */
  readonly job: string | undefined
}

export function PromotionPanel({ type, version, job }: Props) {
  const me = useMe()
  const navigate = useNavigate({ from: "/models/$type/$version" })
  const [days, setDays] = useState<number>(7)
  const sample = useReport(type, version)
  const whole = useBeginReport(type, version)
  if (!reaches(me?.role, "engineer")) return null
  const show = (report: string | undefined) =>
    navigate({ search: (before) => ({ ...before, report }), resetScroll: false })
  const begin = () => whole.mutate({ days, seed: 0 }, { onSuccess: ({ id }) => show(id) })
  const acts = (
    <>
      {DAYS.map((n) => (
        <Chip key={n} pressed={n === days} onClick={() => setDays(n)}>
          {say("rehearsal.days", { n })}
        </Chip>
      ))}
      <Button disabled={sample.isPending} onClick={() => sample.mutate({ days, seed: 0 })}>
        {say("rehearsal.run")}
      </Button>
      {me?.sites === null ? (
        <Button disabled={whole.isPending} onClick={begin}>
          {say("rehearsal.runAll")}
        </Button>
      ) : null}
    </>
  )
  return (
    <>
      <Card className={css.whole} title={say("promotion.title")} aside={acts} padded>
        <Problem error={whole.error} />
        <div aria-live="polite" className={rehearsal.panel}>
          {sample.isPending ? (
            <>
              <p className={css.muted}>
                {say("promotion.running", { n: sample.variables.days, version: String(version) })}
              </p>
              <Skeleton rows={3} />
            </>
          ) : sample.error ? (
            <Failed error={sample.error} retry={() => sample.mutate(sample.variables ?? { days, seed: 0 })} />
          ) : sample.data ? (
            <>
              <Reported found={sample.data} />
              <Again found={sample.data} onClick={(seed) => sample.mutate({ days, seed })} />
            </>
          ) : (
            <p className={css.muted}>{say("promotion.none")}</p>
          )}
        </div>
      </Card>
      {job ? <ReportJob id={job} onClose={() => show(undefined)} /> : null}
    </>
  )
}

function Again({ found, onClick }: { found: PromotionReport; onClick: (seed: number) => void }) {
  const { comparison } = found
  if (!comparison || comparison.devices >= comparison.of_devices) return null
  return <Button onClick={() => onClick(comparison.seed + 1)}>{say("rehearsal.again")}</Button>
}
