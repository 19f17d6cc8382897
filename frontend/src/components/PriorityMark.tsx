/** A priority as the same mark everywhere: shape and colour, and for those who see neither, its name. */

import type { Priority } from "@/api/schema"
import { say } from "@/words/say"
import css from "./PriorityMark.module.css"

const SHAPES: Readonly<Record<Priority, string>> = {
  critical: "M1 1H11V11H1Z",
  high: "M6 0.8 11.6 11H0.4Z",
  medium: "M6 .8A5.2 5.2 0 1 1 6 11.2 5.2 5.2 0 0 1 6 .8Z",
  low: "M6 .2 11.8 6 6 11.8 .2 6Z",
}

interface Props {
  readonly priority: Priority
  /** Nobody has acknowledged it yet: a critical mark pulses. */
  readonly waiting?: boolean
  /** A word beside it already says the priority. */
  readonly labelled?: boolean
}

export function PriorityMark({ priority, waiting = false, labelled = false }: Props) {
  const name = say(`priority.${priority}`)
  return (
    <svg
      className={css.mark}
      viewBox="0 0 12 12"
      width={12}
      height={12}
      data-priority={priority}
      data-pulse={(waiting && priority === "critical") || undefined}
      role={labelled ? undefined : "img"}
      aria-hidden={labelled || undefined}
    >
      <title>{name}</title>
      <path d={SHAPES[priority]} />
    </svg>
  )
}
