/** After the first log-in: the password that was handed over gives way to one of one's own. */
import { say } from "@/words/say"
import { Gateway } from "./Gateway"
import { PasswordForm } from "./PasswordForm"
import { usePasswordForm } from "./usePasswordForm"

export function ChoosePasswordPage({ name }: { readonly name: string }) {
  const form = usePasswordForm()
  return (
    <Gateway title={say("login.choose")} hint={say("login.chooseHelp")} problem={form.problem}>
      <PasswordForm name={name} old={say("login.old")} form={form} />
    </Gateway>
  )
}
