/** A second factor: a code of an authenticator app at each log-in. */

import { Button, TextInput } from "@mantine/core"
import { useMe } from "@/api/session"
import { Dialog } from "@/components/Dialog"
import { say } from "@/words/say"
import css from "./PasswordForm.module.css"
import { useSecondFactor } from "./useSecondFactor"

export function SecondFactorSheet({ onClose }: { readonly onClose: () => void }) {
  const me = useMe()
  const { secret, begin, confirm, end, problem, busy } = useSecondFactor(onClose)
  return (
    <Dialog onClose={onClose} title={say("factor.title")}>
      {problem ? (
        <p className={css.problem} role="alert">
          {problem}
        </p>
      ) : null}
      {me?.totp ? (
        <form className={css.form} onSubmit={end}>
          <p>{say("factor.isOn")}</p>
          <TextInput
            name="password"
            type="password"
            label={say("login.current")}
            autoComplete="current-password"
            data-autofocus
            required
            maxLength={256}
          />
          <Button type="submit" loading={busy}>
            {say("factor.end")}
          </Button>
        </form>
      ) : secret ? (
        <form className={css.form} onSubmit={confirm}>
          <p>{say("factor.enter")}</p>
          <code className={css.secret}>{secret.secret.replace(/(.{4})(?=.)/g, "$1 ")}</code>
          <a className={css.link} href={secret.uri}>
            {say("factor.open")}
          </a>
          <TextInput
            name="code"
            label={say("factor.code")}
            autoComplete="one-time-code"
            inputMode="numeric"
            data-autofocus
            required
            maxLength={10}
          />
          <Button type="submit" variant="filled" loading={busy}>
            {say("factor.confirm")}
          </Button>
        </form>
      ) : (
        <div className={css.form}>
          <p>{say("factor.about")}</p>
          <Button data-autofocus variant="filled" onClick={begin} loading={busy}>
            {say("factor.begin")}
          </Button>
        </div>
      )}
    </Dialog>
  )
}
