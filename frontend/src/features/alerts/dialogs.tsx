/** The questions before some acts: for how long, why, to whom, what to say. */
import { Button, Modal, NativeSelect, Textarea, TextInput } from "@mantine/core"
import { useState } from "react"
import type { AlertOrder } from "@/api/schema"
import { type Phrase, say } from "@/words/say"
import css from "./dialogs.module.css"

export type Question = "shelve" | "assign" | "comment"

interface Props {
  readonly kind: Question
  readonly count: number
  readonly onAnswer: (order: AlertOrder) => void
  readonly onClose: () => void
}

const SPANS = ["900", "3600", "14400", "28800", "86400", "once"] as const
const TITLES: Readonly<Record<Question, Phrase>> = {
  shelve: "alerts.shelveTitle",
  assign: "alerts.assignTitle",
  comment: "alerts.commentTitle",
}
const DOES: Readonly<Record<Question, Phrase>> = {
  shelve: "alerts.shelveDo",
  assign: "alerts.assignDo",
  comment: "alerts.commentDo",
}

export default function Dialog({ kind, count, onAnswer, onClose }: Props) {
  const [span, setSpan] = useState<(typeof SPANS)[number]>("3600")
  const [text, setText] = useState("")
  const answer = () => {
    if (kind === "shelve")
      onAnswer(
        span === "once"
          ? { one_shot: true, reason: text.trim() }
          : { duration_s: Number(span), reason: text.trim() },
      )
    else if (kind === "assign") onAnswer({ assignee: text.trim() })
    else onAnswer({ note: text.trim() })
  }
  const incomplete = kind !== "assign" && text.trim() === ""
  return (
    <Modal
      opened
      onClose={onClose}
      title={say(TITLES[kind], { n: count })}
      closeButtonProps={{ "aria-label": say("app.close") }}
    >
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault()
          if (!incomplete) answer()
        }}
      >
        {kind === "shelve" ? (
          <>
            <NativeSelect
              label={say("alerts.shelveFor")}
              value={span}
              data={SPANS.map((value) => ({ value, label: say(`alerts.shelveHours.${value}`) }))}
              onChange={({ target }) => setSpan(target.value as typeof span)}
            />
            <TextInput
              data-autofocus
              required
              label={say("alerts.reason")}
              description={say("alerts.reasonHelp")}
              value={text}
              onChange={({ target }) => setText(target.value)}
            />
          </>
        ) : kind === "assign" ? (
          <TextInput
            data-autofocus
            label={say("alerts.assignee")}
            description={say("alerts.assigneeHelp")}
            value={text}
            onChange={({ target }) => setText(target.value)}
          />
        ) : (
          <Textarea
            data-autofocus
            required
            label={say("alerts.commentText")}
            value={text}
            onChange={({ target }) => setText(target.value)}
          />
        )}
        <div className={css.acts}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" disabled={incomplete}>
            {say(DOES[kind], { n: count })}
          </Button>
        </div>
      </form>
    </Modal>
  )
}
