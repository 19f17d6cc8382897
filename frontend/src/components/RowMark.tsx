/** What a row begins with: a box to select it by, where that may be, and its priority, where it has one. */
import { Checkbox } from "@mantine/core"
import type { Priority } from "@/api/schema"
import { PriorityMark } from "./PriorityMark"
import css from "./RowMark.module.css"

interface Props {
  readonly priority: Priority | null
  readonly waiting: boolean
  readonly box?: { readonly label: string; readonly checked: boolean; readonly onChange: () => void }
}

/** The width of a column of them with boxes. */
export const MARK_WIDTH = 44

export function RowMark({ priority, waiting, box }: Props) {
  return (
    <span className={css.mark}>
      {box ? <Checkbox aria-label={box.label} checked={box.checked} onChange={box.onChange} /> : null}
      {priority ? <PriorityMark priority={priority} waiting={waiting} /> : null}
    </span>
  )
}
