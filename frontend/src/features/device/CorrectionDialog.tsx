/** What a maintenance record should have said, and why. The record itself stays, and what it did to the twin stays, too. */

import { Button, Checkbox, TextInput } from "@mantine/core"
import { useState } from "react"
import { useCorrectMaintenance } from "@/api/commands"
import type { MaintenanceItem, TypeInfo } from "@/api/schema"
import { Dialog } from "@/components/Dialog"
import { type Entry, MaintenanceFields, recordOf } from "@/components/deviceacts/MaintenanceFields"
import css from "@/components/dialogs.module.css"
import { notify } from "@/components/notices"
import { Failed } from "@/components/states"
import { say } from "@/words/say"

interface Props {
  readonly record: MaintenanceItem
  readonly type: TypeInfo | undefined
  readonly onClose: () => void
}

export default function CorrectionDialog({ record, type, onClose }: Props) {
  const { mutate, isPending, error } = useCorrectMaintenance(record)
  const [entry, setEntry] = useState<Entry>({
    kind: record.kind,
    action: record.action ?? "",
    mode: record.failure_mode ?? "",
    note: record.note,
  })
  const [withdrawn, setWithdrawn] = useState(record.withdrawn)
  const [reason, setReason] = useState("")
  const save = () =>
    mutate(
      { ...recordOf(entry), reason: reason.trim(), withdrawn },
      {
        onSuccess: () => {
          notify({ text: say("maintenance.corrected", { id: record.device_id }) })
          onClose()
        },
      },
    )
  return (
    <Dialog onClose={onClose} title={say("maintenance.correctTitle", { id: record.device_id })}>
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault()
          save()
        }}
      >
        <MaintenanceFields type={type} entry={entry} onChange={setEntry} />
        <Checkbox
          label={say("maintenance.withdraw")}
          checked={withdrawn}
          onChange={({ target }) => setWithdrawn(target.checked)}
        />
        <TextInput
          required
          label={say("maintenance.why")}
          description={say("maintenance.whyHelp")}
          value={reason}
          maxLength={2000}
          onChange={({ target }) => setReason(target.value)}
        />
        {error ? <Failed error={error} /> : null}
        <div className={css.acts}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" disabled={isPending || reason.trim() === ""}>
            {say("maintenance.correctDo")}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
