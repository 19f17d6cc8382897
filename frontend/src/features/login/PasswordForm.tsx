/** Old password, new password twice. */
import { Button, TextInput } from "@mantine/core"
import { say } from "@/words/say"
import css from "./PasswordForm.module.css"
import type { PasswordForm as Form } from "./usePasswordForm"

interface Props {
  readonly name: string
  readonly old: string
  readonly form: Form
}

export function PasswordForm({ name, old, form: { submit, busy, differs } }: Props) {
  return (
    <form onSubmit={submit} className={css.form}>
      {/* So that a password manager knows whose it is. */}
      <input type="text" name="username" autoComplete="username" value={name} readOnly hidden />
      <TextInput
        name="old"
        type="password"
        label={old}
        autoComplete="current-password"
        autoFocus
        data-autofocus
        required
        maxLength={256}
      />
      <TextInput
        name="new"
        type="password"
        label={say("login.new")}
        description={say("login.newHelp")}
        autoComplete="new-password"
        required
        maxLength={256}
      />
      <TextInput
        name="again"
        type="password"
        label={say("login.again")}
        autoComplete="new-password"
        error={differs ? say("login.differs") : undefined}
        required
        maxLength={256}
      />
      <Button type="submit" variant="filled" loading={busy}>
        {say("login.save")}
      </Button>
    </form>
  )
}
