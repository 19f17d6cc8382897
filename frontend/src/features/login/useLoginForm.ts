/** What the card knows: it sends what was typed, and says what was wrong. */
import type { FormEvent } from "react"
import { useLogIn } from "@/api/session"

export function useLoginForm() {
  const logIn = useLogIn()
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const typed = new FormData(event.currentTarget)
    const text = (field: string) => String(typed.get(field) ?? "")
    logIn.mutate({ name: text("name").trim(), password: text("password"), code: text("code").trim() })
  }
  return { submit, problem: logIn.error?.message ?? null, busy: logIn.isPending }
}
