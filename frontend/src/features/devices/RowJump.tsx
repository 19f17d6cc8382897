/** Says which row stands first in view, and goes to the one that is typed. */
import { TextInput } from "@mantine/core"
import { useState } from "react"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import css from "./DevicesPage.module.css"

interface Props {
  /** The place that stands first in view, from 0. */
  readonly first: number
  readonly total: number
  /** Told the row, from 1. */
  readonly onJump: (row: number) => void
}

export function RowJump({ first, total, onJump }: Props) {
  const [typed, setTyped] = useState<string | null>(null)
  return (
    <form
      className={css.jump}
      onSubmit={(event) => {
        event.preventDefault()
        const row = rowIn(typed ?? "", total)
        if (row !== null) onJump(row)
        setTyped(null)
      }}
    >
      <span aria-hidden>{say("devices.row")}</span>
      <TextInput
        size="xs"
        inputMode="numeric"
        autoComplete="off"
        aria-label={say("devices.rowHelp", { total: count(total) })}
        value={typed ?? count(first + 1)}
        onFocus={({ target }) => target.select()}
        onBlur={() => setTyped(null)}
        onChange={({ target }) => setTyped(target.value)}
      />
    </form>
  )
}

/** The row that somebody meant, within the list; null where no number is written. */
export function rowIn(text: string, total: number): number | null {
  const digits = text.replace(/[^\d]/g, "")
  return digits === "" ? null : Math.min(total, Math.max(1, Number(digits)))
}
