/** What was done to a device, or found: an entry that opens a new life-cycle as its action says. */

import { Button } from "@mantine/core"
import { useState } from "react"
import { useLogMaintenance } from "@/api/commands"
import type { TypeInfo } from "@/api/schema"
import { Dialog } from "@/components/Dialog"
import { BLANK, MaintenanceFields, recordOf } from "@/components/deviceacts/MaintenanceFields"
import css from "@/components/dialogs.module.css"
import { notify } from "@/components/notices"
import { Failed } from "@/components/states"
import { say } from "@/words/say"

interface Props {
  readonly id: string
  readonly type: TypeInfo | undefined
  readonly onClose: () => void
}

export default function MaintenanceDialog({ id, type, onClose }: Props) {
  const { mutate, isPending, error } = useLogMaintenance(id)
  const [entry, setEntry] = useState(BLANK)
  const save = () =>
    mutate(recordOf(entry), {
      onSuccess: () => {
        notify({ text: say("maintenance.saved", { id }) })
        onClose()
      },
    })
  return (
    <Dialog onClose={onClose} title={say("maintenance.title", { id })}>
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault()
          save()
        }}
      >
        <MaintenanceFields type={type} entry={entry} onChange={setEntry} />
        <p className={css.help}>{say("maintenance.opens")}</p>
        {error ? <Failed error={error} /> : null}
        <div className={css.acts}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" disabled={isPending}>
            {say("maintenance.save")}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
