/** In which state an experiment is and how far it has come. Only what went wrong stands out. */
import type { Experiment } from "@/api/whatif"
import { share } from "@/words/figures"
import { say } from "@/words/say"
import css from "./whatif.module.css"

export function Standing({ experiment: { state, progress, message } }: { readonly experiment: Experiment }) {
  const text = say(`whatif.states.${state}`)
  if (state === "failed")
    return (
      <span className={css.abnormal} title={message}>
        {text}
      </span>
    )
  if (state !== "running" || progress === null) return <span title={message}>{text}</span>
  return (
    <span className={css.standing} title={message}>
      {text}
      <progress className={css.progress} value={progress} aria-label={say("whatif.progress")} />
      {share(progress)}
    </span>
  )
}
