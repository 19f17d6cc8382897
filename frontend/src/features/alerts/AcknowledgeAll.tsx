/** Acknowledging all alerts that match, seen or not: they are counted first, and the count is typed, since nothing takes it back. */

import { Button, Textarea, TextInput } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { notesNeededQuery, useMatchingCommand } from "@/api/commands"
import type { AlertCounts, AlertMatch } from "@/api/schema"
import { needsNote } from "@/components/alertacts/acts"
import { ByPriority } from "@/components/alertacts/ByPriority"
import { Dialog } from "@/components/Dialog"
import css from "@/components/dialogs.module.css"
import { notify } from "@/components/notices"
import { Failed } from "@/components/states"
import { PRIORITIES } from "@/components/tokens"
import { say } from "@/words/say"

interface Props {
  readonly matching: AlertMatch
  /** Of what matches at present, by priority. */
  readonly counts: AlertCounts
  readonly onClose: () => void
}

export default function AcknowledgeAll({ matching, counts, onClose }: Props) {
  const { mutate, isPending, error } = useMatchingCommand()
  const { data: needed } = useQuery(notesNeededQuery)
  const [note, setNote] = useState("")
  const [typed, setTyped] = useState("")
  const n = PRIORITIES.reduce((sum, priority) => sum + counts[priority], 0)
  const required = needsNote(
    "acknowledge",
    PRIORITIES.flatMap((priority) => Array(Math.min(2, counts[priority])).fill({ priority })),
    needed,
  )
  const ready = typed.trim() === String(n) && !(required && note.trim() === "")
  const send = () =>
    mutate(
      { command: "acknowledge", matching, note: note.trim() },
      {
        onSuccess: ({ done, refused_total, refused }) => {
          notify({ text: say("alerts.done.acknowledge", { n: done }) })
          if (refused_total > 0)
            notify({
              text: say("alerts.failed", { n: refused_total, reason: refused[0]?.detail }),
              failed: true,
            })
          onClose()
        },
      },
    )
  return (
    <Dialog onClose={onClose} title={say("alerts.titles.acknowledge", { n })}>
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault()
          if (ready) send()
        }}
      >
        <p>{say("alerts.allHelp")}</p>
        <ByPriority counts={counts} />
        <Textarea
          data-autofocus
          required={required}
          rows={2}
          label={say("alerts.reason")}
          description={say(required ? "alerts.reasonHelp" : "alerts.reasonMay")}
          value={note}
          maxLength={2000}
          onChange={({ target }) => setNote(target.value)}
        />
        <TextInput
          label={say("selection.typeCount", { n })}
          value={typed}
          inputMode="numeric"
          autoComplete="off"
          onChange={({ target }) => setTyped(target.value)}
        />
        {error ? <Failed error={error} /> : null}
        <div className={css.acts}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" disabled={!ready || isPending}>
            {say("alerts.does.acknowledge", { n })}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
