/** Ask one thing of a device: a value that a property shall have, or a command with its parameters. */

import { Button, NativeSelect, Textarea } from "@mantine/core"
import { useState } from "react"
import { useAsk } from "@/api/commands"
import { Dialog } from "@/components/Dialog"
import { type Offer, type Texts, typedValues } from "@/components/deviceacts/asked"
import { ValueFields } from "@/components/deviceacts/ValueFields"
import css from "@/components/dialogs.module.css"
import { notify } from "@/components/notices"
import { Failed } from "@/components/states"
import { say } from "@/words/say"

interface Props {
  readonly id: string
  /** Of what is desired: that at the opening is what somebody has seen. */
  readonly version: number
  readonly offered: readonly Offer[]
  readonly onClose: () => void
}

export default function AskDialog({ id, version, offered, onClose }: Props) {
  const { mutate, isPending, error } = useAsk(id)
  const [seen] = useState(version)
  const [at, setAt] = useState(0)
  const [texts, setTexts] = useState<Texts>({})
  const [note, setNote] = useState("")
  const offer = offered[at]
  if (!offer) return null
  const specs = offer.what === "property" ? [offer.spec] : offer.spec.parameters
  const values = typedValues(specs, texts)
  const send = () =>
    values &&
    mutate(
      { what: offer.what, name: offer.spec.name, values, note: note.trim(), version: seen },
      {
        onSuccess: () => {
          notify({ text: say("asked.sent", { id }) })
          onClose()
        },
      },
    )
  return (
    <Dialog onClose={onClose} title={say("asked.of", { id })}>
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault()
          send()
        }}
      >
        <NativeSelect
          data-autofocus
          label={say("asked.what")}
          value={String(at)}
          data={offered.map(({ spec }, i) => ({ value: String(i), label: spec.title }))}
          onChange={({ target }) => {
            setAt(Number(target.value))
            setTexts({})
          }}
        />
        <ValueFields specs={specs} texts={texts} onChange={setTexts} />
        <Textarea
          label={say("maintenance.note")}
          value={note}
          maxLength={2000}
          onChange={({ target }) => setNote(target.value)}
        />
        <p className={css.help}>{say("asked.help")}</p>
        {error ? <Failed error={error} /> : null}
        <div className={css.acts}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" disabled={isPending || !values}>
            {say("asked.send")}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
