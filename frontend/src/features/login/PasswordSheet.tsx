/** Changing one's password, from the settings. */
import { Modal } from "@mantine/core"
import { useMe } from "@/api/session"
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
    <Modal
      opened
      onClose={onClose}
      title={say("settings.passwordTitle")}
      closeButtonProps={{ "aria-label": say("app.close") }}
    >
      {form.problem ? (
        <p className={css.problem} role="alert">
          {form.problem}
        </p>
      ) : null}
      <PasswordForm name={me?.name ?? ""} old={say("login.current")} form={form} />
    </Modal>
  )
}
