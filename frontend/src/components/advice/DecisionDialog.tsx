/** The questions before a decision: a note, why it is dismissed and for how long, what was done and found. */
import { Button, NativeSelect, Textarea } from "@mantine/core"
import { useState } from "react"
import { type Deciding, useDecide } from "@/api/recommendations"
import type { Finished, Recommendation } from "@/api/schema"
import { say } from "@/words/say"
import { now } from "@/words/times"
import { Dialog } from "../Dialog"
import css from "../dialogs.module.css"
import { notify } from "../notices"
import { Failed } from "../states"
import { modeText } from "./adviceText"

interface Props {
  readonly act: Deciding["act"]
  readonly item: Recommendation
  readonly onClose: () => void
}

const OUTCOMES = ["fault_confirmed", "no_fault_found", "other"] as const
const UNTILS = ["signs", "1", "7", "30"] as const
const DAY_MS = 86_400_000

export default function DecisionDialog({ act, item, onClose }: Props) {
  const device = item.device_id
  const { mutate, isPending, error } = useDecide(item.id, device, (done) => {
    notify({ text: say(`advice.said.${done}`, { device }) })
    onClose()
  })
  const [text, setText] = useState("")
  const [until, setUntil] = useState<string>("signs")
  const [outcome, setOutcome] = useState<Finished["outcome"]>("fault_confirmed")
  const [action, setAction] = useState(item.planned ?? item.actions[0]?.name ?? "")
  const said = text.trim()
  const incomplete = act === "dismiss" && said === ""
  const send = () => mutate(decidingOf(act, said, until, outcome, action))
  return (
    <Dialog onClose={onClose} title={say(`advice.titles.${act}`, { mode: modeText(item), device })}>
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault()
          if (!incomplete) send()
        }}
      >
        {act === "done" ? (
          <>
            <NativeSelect
              data-autofocus
              label={say("advice.outcome")}
              value={outcome}
              data={OUTCOMES.map((value) => ({ value, label: say(`advice.outcomes.${value}`) }))}
              onChange={({ target }) => setOutcome(target.value as Finished["outcome"])}
            />
            <NativeSelect
              label={say("advice.done")}
              value={action}
              data={[
                ...item.actions.map(({ name, title }) => ({ value: name, label: title })),
                { value: "", label: say("advice.looked") },
              ]}
              onChange={({ target }) => setAction(target.value)}
            />
          </>
        ) : null}
        <Textarea
          data-autofocus={act !== "done" || undefined}
          required={act === "dismiss"}
          rows={2}
          label={say(act === "dismiss" ? "advice.reason" : "advice.note")}
          description={act === "dismiss" ? say("advice.reasonHelp") : undefined}
          value={text}
          maxLength={2000}
          onChange={({ target }) => setText(target.value)}
        />
        {act === "dismiss" ? (
          <NativeSelect
            label={say("advice.until")}
            value={until}
            data={UNTILS.map((value) => ({ value, label: say(`advice.untils.${value}`) }))}
            onChange={({ target }) => setUntil(target.value)}
          />
        ) : null}
        {act === "done" ? <p className={css.help}>{say("advice.doneHelp")}</p> : null}
        {error ? <Failed error={error} /> : null}
        <div className={css.acts}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" disabled={isPending || incomplete}>
            {say(`advice.does.${act}`)}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

function decidingOf(
  act: Deciding["act"],
  said: string,
  until: string,
  outcome: Finished["outcome"],
  action: string,
): Deciding {
  switch (act) {
    case "accept":
      return { act, body: { note: said } }
    case "dismiss":
      return {
        act,
        body: {
          reason: said,
          until: until === "signs" ? undefined : new Date(now() + Number(until) * DAY_MS).toISOString(),
        },
      }
    case "done":
      return { act, body: { outcome, action: action || undefined, note: said } }
  }
}
