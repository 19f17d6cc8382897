/** Changing one's password, from the settings. */

import { useMe } from "@/api/session"
import { Dialog } from "@/components/Dialog"
import { notify } from "@/components/notices"
import { say } from "@/words/say"
import { PasswordForm } from "./PasswordForm"
import css from "./PasswordForm.module.css"
import { usePasswordForm } from "./usePasswordForm"

export function PasswordSheet({ onClose }: { readonly onClose: () => void }) {
  const me = useMe()
  const form = usePasswordForm(() => {
    notify({ text: say("login.saved") })
    onClose()
  })
  return (
    <Dialog onClose={onClose} title={say("settings.passwordTitle")}>
      {form.problem ? (
        <p className={css.problem} role="alert">
          {form.problem}
        </p>
      ) : null}
      <PasswordForm name={me?.name ?? ""} old={say("login.current")} form={form} />
    </Dialog>
  )
}
