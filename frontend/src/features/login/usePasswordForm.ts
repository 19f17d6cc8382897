/** What choosing a password takes: the two that must be equal, and the API's word on the new one. */
import { type FormEvent, useState } from "react"
import { useChangePassword } from "@/api/session"

export interface PasswordForm {
  readonly submit: (event: FormEvent<HTMLFormElement>) => void
  readonly problem: string | null
  readonly busy: boolean
  readonly differs: boolean
}

export function usePasswordForm(onDone?: () => void): PasswordForm {
  const change = useChangePassword()
  const [differs, setDiffers] = useState(false)
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const typed = new FormData(event.currentTarget)
    const text = (field: string) => String(typed.get(field) ?? "")
    const unequal = text("new") !== text("again")
    setDiffers(unequal)
    if (!unequal) change.mutate({ old: text("old"), new: text("new") }, { onSuccess: onDone })
  }
  return { submit, problem: change.error?.message ?? null, busy: change.isPending, differs }
}
