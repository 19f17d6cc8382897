/** The questions before some acts: how many it is about, for how long, why, to whom, what to say. */

import { Button, NativeSelect, Textarea, TextInput } from "@mantine/core"
import { useState } from "react"
import type { AlertCommand, AlertItem, AlertOrder, NotesNeeded } from "@/api/schema"
import { say } from "@/words/say"
import { Dialog } from "../Dialog"
import css from "../dialogs.module.css"
import { needsNote } from "./acts"
import { ByPriority } from "./ByPriority"

interface Props {
  readonly command: AlertCommand
  readonly alerts: readonly AlertItem[]
  readonly needed: NotesNeeded | undefined
  readonly onAnswer: (order: AlertOrder) => void
  readonly onClose: () => void
}

const SPANS = ["900", "3600", "14400", "28800", "86400", "once"] as const
type Span = (typeof SPANS)[number]

export default function ActDialog({ command, alerts, needed, onAnswer, onClose }: Props) {
  const [span, setSpan] = useState<Span>("3600")
  const [text, setText] = useState("")
  const said = text.trim()
  const required = needsNote(command, alerts, needed)
  const incomplete = required && said === ""
  return (
    <Dialog onClose={onClose} title={say(`alerts.titles.${command}`, { n: alerts.length })}>
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault()
          if (!incomplete) onAnswer(orderOf(command, said, span))
        }}
      >
        {alerts.length > 1 ? <ByPriority counts={countsOf(alerts)} /> : null}
        {command === "shelve" ? (
          <NativeSelect
            label={say("alerts.shelveFor")}
            value={span}
            data={SPANS.map((value) => ({ value, label: say(`alerts.shelveHours.${value}`) }))}
            onChange={({ target }) => setSpan(target.value as Span)}
          />
        ) : null}
        {command === "assign" ? (
          <TextInput
            data-autofocus
            label={say("alerts.assignee")}
            description={say("alerts.assigneeHelp")}
            value={text}
            maxLength={256}
            onChange={({ target }) => setText(target.value)}
          />
        ) : (
          <Textarea
            data-autofocus
            required={required}
            rows={2}
            label={say(command === "comment" ? "alerts.commentText" : "alerts.reason")}
            description={
              command === "comment" ? undefined : say(required ? "alerts.reasonHelp" : "alerts.reasonMay")
            }
            value={text}
            maxLength={2000}
            onChange={({ target }) => setText(target.value)}
          />
        )}
        <div className={css.acts}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" disabled={incomplete}>
            {say(`alerts.does.${command}`, { n: alerts.length })}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

function orderOf(command: AlertCommand, said: string, span: Span): AlertOrder {
  switch (command) {
    case "shelve":
      return span === "once" ? { one_shot: true, reason: said } : { duration_s: Number(span), reason: said }
    case "suppress":
    case "remove-from-service":
      return { reason: said }
    case "assign":
      return { assignee: said }
    default:
      return { note: said }
  }
}

function countsOf(alerts: readonly AlertItem[]) {
  const counts = { critical: 0, high: 0, medium: 0, low: 0 }
  for (const { priority } of alerts) counts[priority] += 1
  return counts
}
