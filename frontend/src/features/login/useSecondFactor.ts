/** Setting a second factor up, in two steps, and ending it. */
import type { FormEvent } from "react"
import { useBeginTotp, useConfirmTotp, useEndTotp } from "@/api/session"
import { notify } from "@/components/notices"
import { say } from "@/words/say"

export function useSecondFactor(onDone: () => void) {
  const beginning = useBeginTotp()
  const confirming = useConfirmTotp()
  const ending = useEndTotp()
  const done = (text: string) => ({
    onSuccess: () => {
      notify({ text })
      onDone()
    },
  })
  const typed = (event: FormEvent<HTMLFormElement>, field: string) => {
    event.preventDefault()
    return String(new FormData(event.currentTarget).get(field) ?? "")
  }
  return {
    secret: beginning.data,
    begin: () => beginning.mutate(),
    confirm: (event: FormEvent<HTMLFormElement>) =>
      confirming.mutate(typed(event, "code").replaceAll(" ", ""), done(say("factor.on"))),
    end: (event: FormEvent<HTMLFormElement>) =>
      ending.mutate(typed(event, "password"), done(say("factor.off"))),
    problem: (confirming.error ?? ending.error ?? beginning.error)?.message ?? null,
    busy: beginning.isPending || confirming.isPending || ending.isPending,
  }
}
