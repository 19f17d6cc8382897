/** Putting a version of the rules in force on every host: what changes, and why. */

import { Button, TextInput } from "@mantine/core"
import { useState } from "react"
import { ApiError } from "@/api/client"
import { useActivateRules } from "@/api/rules"
import type { TypeVersions } from "@/api/schema"
import { Dialog } from "@/components/Dialog"
import { notify } from "@/components/notices"
import { Failed } from "@/components/states"
import { say } from "@/words/say"
import { overtaken } from "./overtaken"
import css from "./rules.module.css"
import { Differences } from "./StagedCard"

interface Props {
  readonly versions: TypeVersions
  readonly rules: number
  readonly onClose: () => void
}

export function ActivateDialog({ versions, rules, onClose }: Props) {
  const { name, in_force } = versions
  const [revision] = useState(versions.revision)
  const [why, setWhy] = useState("")
  const { mutate, isPending, error } = useActivateRules(name)
  const late = error instanceof ApiError && error.status === 412
  const activate = () =>
    mutate(
      { rules, why: why.trim(), revision },
      {
        onSuccess: () => {
          notify({ text: say("rules.activated", { n: rules }) })
          onClose()
        },
      },
    )
  return (
    <Dialog onClose={onClose} title={say("rules.activateTitle", { n: rules })}>
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault()
          activate()
        }}
      >
        <p className={css.muted}>{say("rules.activateHelp")}</p>
        {in_force ? <Differences type={name} first={in_force.rules} second={rules} /> : null}
        <TextInput
          data-autofocus
          label={say("rules.why")}
          value={why}
          maxLength={2000}
          onChange={({ target }) => setWhy(target.value)}
        />
        {late ? (
          <p className={css.late} role="alert">
            {overtaken(versions)}
          </p>
        ) : error ? (
          <Failed error={error} />
        ) : null}
        <div className={css.dialogActs}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" disabled={isPending || late}>
            {say("rules.activateDo", { n: rules })}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
