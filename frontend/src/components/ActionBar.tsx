/** What can be done with rows. On a narrow screen it is there while some are selected, at the bottom, where a thumb reaches it. */
import { Button } from "@mantine/core"
import type { ReactNode } from "react"
import { say } from "@/words/say"
import css from "./ActionBar.module.css"

interface Props {
  /** What is selected, in words; null: nothing is. */
  readonly selected: string | null
  readonly onClear: () => void
  /** How to select more. */
  readonly more?: ReactNode
  readonly children: ReactNode
}

export function ActionBar({ selected, onClear, more, children }: Props) {
  return (
    <div className={css.acts} data-any={selected !== null}>
      {selected === null ? null : (
        <div className={css.selected}>
          <Button variant="subtle" onClick={onClear} aria-label={`${selected}: ${say("selection.clear")}`}>
            {selected} ×
          </Button>
          {more}
        </div>
      )}
      {children}
    </div>
  )
}
