/** Putting a version in force, or the one before it again: what speaks for it, and why it is done. */
import { Button, TextInput } from "@mantine/core"
import { type FormEvent, useState } from "react"
import { type ModelWish, useModelChange } from "@/api/models"
import type { ModelItem } from "@/api/schema"
import { Dialog } from "@/components/Dialog"
import css from "@/components/dialogs.module.css"
import { notify } from "@/components/notices"
import { Problem } from "@/components/Problem"
import { say } from "@/words/say"
import { Verdict } from "./Verdict"

export function ModelDialog({ model, onClose }: { readonly model: ModelItem; readonly onClose: () => void }) {
  const { type, version } = model
  // What is asked stays, also once the version is in force.
  const [act] = useState<ModelWish["act"]>(model.role === "champion" ? "rollback" : "promote")
  const [reason, setReason] = useState("")
  const change = useModelChange(type, version)
  const facts = { type, n: version }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    change.mutate(
      { act, reason },
      {
        onSuccess: (put) => {
          notify({ text: say("models.done", { type, n: put.version }) })
          onClose()
        },
      },
    )
  }
  const isBack = act === "rollback"
  return (
    <Dialog onClose={onClose} title={say(isBack ? "models.rollBackTitle" : "models.promoteTitle", facts)}>
      <form className={css.form} onSubmit={submit}>
        <p>{say(isBack ? "models.rollBackHelp" : "models.promoteHelp", facts)}</p>
        {isBack ? null : <Verdict type={type} version={version} />}
        <TextInput
          label={say("models.whyLabel")}
          value={reason}
          maxLength={2000}
          onChange={({ target }) => setReason(target.value)}
          data-autofocus
        />
        <Problem error={change.error} />
        <div className={css.acts}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" loading={change.isPending}>
            {say(isBack ? "models.rollBackDo" : "models.promoteDo")}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
