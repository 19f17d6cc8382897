/** What was done to a device, or found: an entry that opens a new life-cycle as its action says. */
import { Button, Modal, NativeSelect, Textarea } from "@mantine/core"
import { useState } from "react"
import { useLogMaintenance } from "@/api/commands"
import type { Maintenance, TypeInfo } from "@/api/schema"
import { notify } from "@/components/notices"
import { Failed } from "@/components/states"
import { say } from "@/words/say"
import css from "./MaintenanceDialog.module.css"

interface Props {
  readonly id: string
  readonly type: TypeInfo | undefined
  readonly onClose: () => void
}

const KINDS = ["inspection", "repair", "replacement", "failure"] as const

export default function MaintenanceDialog({ id, type, onClose }: Props) {
  const { mutate, isPending, error } = useLogMaintenance(id)
  const [kind, setKind] = useState<Maintenance["kind"]>("inspection")
  const [action, setAction] = useState("")
  const [mode, setMode] = useState("")
  const [note, setNote] = useState("")
  const actions = type?.actions.filter((each) => each.kind === kind) ?? []
  const modes = type?.failure_modes ?? []
  const save = () =>
    mutate(
      { kind, action: action || undefined, failure_mode: mode || undefined, note: note.trim() },
      {
        onSuccess: () => {
          notify({ text: say("maintenance.saved", { id }) })
          onClose()
        },
      },
    )
  return (
    <Modal
      opened
      onClose={onClose}
      title={say("maintenance.title", { id })}
      closeButtonProps={{ "aria-label": say("app.close") }}
    >
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault()
          save()
        }}
      >
        <NativeSelect
          data-autofocus
          label={say("maintenance.kind")}
          value={kind}
          data={KINDS.map((value) => ({ value, label: say(`maintenance.kinds.${value}`) }))}
          onChange={({ target }) => {
            setKind(target.value as typeof kind)
            setAction("")
          }}
        />
        {actions.length > 0 ? (
          <NativeSelect
            label={say("maintenance.action")}
            value={action}
            data={[
              { value: "", label: say("maintenance.noAction") },
              ...actions.map(({ name, title }) => ({ value: name, label: title || name })),
            ]}
            onChange={({ target }) => setAction(target.value)}
          />
        ) : null}
        {modes.length > 0 ? (
          <NativeSelect
            label={say("maintenance.mode")}
            value={mode}
            data={[
              { value: "", label: say("maintenance.noMode") },
              ...modes.map(({ name, title }) => ({ value: name, label: title || name })),
            ]}
            onChange={({ target }) => setMode(target.value)}
          />
        ) : null}
        <Textarea
          label={say("maintenance.note")}
          placeholder={say("maintenance.notePlaceholder")}
          value={note}
          maxLength={2000}
          onChange={({ target }) => setNote(target.value)}
        />
        <p className={css.help}>{say("maintenance.opens")}</p>
        {error ? <Failed error={error} /> : null}
        <div className={css.acts}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" disabled={isPending}>
            {say("maintenance.save")}
          </Button>
        </div>
      </form>
    </Modal>
  )
}
