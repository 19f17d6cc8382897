/** What the text would have done over the last days: from some devices at once, from all of them as a job. */
import { Button } from "@mantine/core"
import { useNavigate } from "@tanstack/react-router"
import { useId, useState } from "react"
import { useBeginRehearsal, useRehearse } from "@/api/rules"
import { useMe } from "@/api/session"
import { Chip } from "@/components/Chip"
import { Problem } from "@/components/Problem"
import { RehearsalResult } from "@/components/rehearsal/RehearsalResult"
import css from "@/components/rehearsal/rehearsal.module.css"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"

const DAYS = [1, 7, 30] as const

interface Props {
  readonly type: string
  readonly text: string
  /** Whether the text could be put in force and changes something. */
  readonly isReady: boolean
}

export function RehearsalPanel({ type, text, isReady }: Props) {
  const heading = useId()
  const seesAll = useMe()?.sites === null
  const navigate = useNavigate({ from: "/alerts/rules/$type" })
  const [days, setDays] = useState<number>(7)
  const sample = useRehearse(type)
  const whole = useBeginRehearsal(type)
  const run = (seed: number) => sample.mutate({ text, days, seed })
  const asked = sample.variables
  const begin = () =>
    whole.mutate(
      { text, days, seed: 0 },
      { onSuccess: ({ id }) => navigate({ search: { rehearsal: id }, resetScroll: false }) },
    )
  return (
    <section className={css.panel} aria-labelledby={heading}>
      <div className={css.line}>
        <h3 id={heading} className={css.heading}>
          {say("rehearsal.title")}
        </h3>
        {DAYS.map((n) => (
          <Chip key={n} pressed={n === days} onClick={() => setDays(n)}>
            {say("rehearsal.days", { n })}
          </Chip>
        ))}
        <div className={css.acts}>
          <Button disabled={!isReady || sample.isPending} onClick={() => run(0)}>
            {say("rehearsal.run")}
          </Button>
          {seesAll ? (
            <Button disabled={!isReady || whole.isPending} onClick={begin}>
              {say("rehearsal.runAll")}
            </Button>
          ) : null}
        </div>
      </div>
      <Problem error={whole.error} />
      <div aria-live="polite">
        {sample.isPending ? (
          <>
            <p className={css.muted}>{say("rehearsal.running", { n: asked?.days ?? days })}</p>
            <Skeleton rows={3} />
          </>
        ) : sample.error ? (
          <Failed error={sample.error} retry={isReady ? () => run(asked?.seed ?? 0) : undefined} />
        ) : sample.data ? (
          <>
            {asked?.text === text ? null : <p className={css.old}>{say("rehearsal.old")}</p>}
            <RehearsalResult found={sample.data} isOld={asked?.text !== text} />
            {sample.data.devices < sample.data.of_devices && isReady ? (
              <Button onClick={() => run(sample.data.seed + 1)}>{say("rehearsal.again")}</Button>
            ) : null}
          </>
        ) : (
          <p className={css.muted}>{say(isReady ? "rehearsal.none" : "rehearsal.notReady")}</p>
        )}
      </div>
    </section>
  )
}
