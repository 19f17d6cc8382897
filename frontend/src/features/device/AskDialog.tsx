/** Ask one thing of a device: a value that a property shall have, or a command with its parameters. */
import { Button, Modal, NativeSelect, Textarea, TextInput } from "@mantine/core"
import { useState } from "react"
import { useAsk } from "@/api/commands"
import type { ParameterInfo, PropertyInfo } from "@/api/schema"
import { notify } from "@/components/notices"
import { Failed } from "@/components/states"
import { unitText } from "@/words/figures"
import { say } from "@/words/say"
import { type Offer, typedValue } from "./asked"
import css from "./MaintenanceDialog.module.css"

interface Props {
  readonly id: string
  readonly version: number
  readonly offered: readonly Offer[]
  readonly onClose: () => void
}

export default function AskDialog({ id, version, offered, onClose }: Props) {
  const { mutate, isPending, error } = useAsk(id)
  const [at, setAt] = useState(0)
  const [texts, setTexts] = useState<Readonly<Record<string, string>>>({})
  const [note, setNote] = useState("")
  const offer = offered[at]
  if (!offer) return null
  const specs = offer.what === "property" ? [offer.spec] : offer.spec.parameters
  const text = ({ name }: { readonly name: string }) => texts[name] ?? ""
  const isLeftOut = (spec: PropertyInfo | ParameterInfo) =>
    "required" in spec && !spec.required && text(spec).trim() === ""
  const wrong = specs.some((spec) => !isLeftOut(spec) && typedValue(spec, text(spec)) === undefined)
  const send = () => {
    const values = Object.fromEntries(
      specs.filter((spec) => !isLeftOut(spec)).map((spec) => [spec.name, typedValue(spec, text(spec))]),
    )
    mutate(
      { what: offer.what, name: offer.spec.name, values, note: note.trim(), version },
      {
        onSuccess: () => {
          notify({ text: say("asked.sent", { id }) })
          onClose()
        },
      },
    )
  }
  return (
    <Modal
      opened
      onClose={onClose}
      title={say("asked.of", { id })}
      closeButtonProps={{ "aria-label": say("app.close") }}
    >
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
        {specs.map((spec) => (
          <Value
            key={spec.name}
            spec={spec}
            text={text(spec)}
            onChange={(typed) => setTexts({ ...texts, [spec.name]: typed })}
          />
        ))}
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
          <Button type="submit" variant="filled" disabled={isPending || wrong}>
            {say("asked.send")}
          </Button>
        </div>
      </form>
    </Modal>
  )
}

interface ValueProps {
  readonly spec: PropertyInfo | ParameterInfo
  readonly text: string
  readonly onChange: (text: string) => void
}

function Value({ spec, text, onChange }: ValueProps) {
  const choices = spec.kind === "boolean" ? ["true", "false"] : spec.choices
  const span = [spec.low, spec.high].filter((bound) => bound !== null).join(" … ")
  const hint = [span, spec.unit === "1" ? "" : unitText(spec.unit)].filter(Boolean).join(" ")
  if (choices.length > 0)
    return (
      <NativeSelect
        label={spec.title}
        value={text}
        data={["", ...choices]}
        onChange={({ target }) => onChange(target.value)}
      />
    )
  return (
    <TextInput
      label={spec.title}
      description={hint}
      value={text}
      inputMode={spec.kind === "string" ? "text" : "decimal"}
      onChange={({ target }) => onChange(target.value)}
    />
  )
}
