/** At which sites an account's role counts: typed with commas, nothing for all of them. */
import { Button, TextInput } from "@mantine/core"
import { type FormEvent, useState } from "react"
import { names } from "@/components/names"
import { say } from "@/words/say"
import css from "./people.module.css"

interface Props {
  readonly name: string
  readonly sites: readonly string[] | null
  readonly disabled: boolean
  readonly onChange: (sites: string[] | null) => void
}

export function Sites({ name, sites, disabled, onChange }: Props) {
  const now = (sites ?? []).join(", ")
  const [typed, setTyped] = useState<string | null>(null)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (typed !== null) onChange(sitesOf(typed))
    setTyped(null)
  }
  return (
    <form className={css.sites} onSubmit={submit}>
      <TextInput
        aria-label={say("people.sitesOf", { name })}
        placeholder={say("people.allSites")}
        value={typed ?? now}
        disabled={disabled}
        autoComplete="off"
        onChange={({ target }) => setTyped(target.value)}
      />
      {typed !== null && typed !== now ? <Button type="submit">{say("people.setSites")}</Button> : null}
    </form>
  )
}

/** "oslo, bergen" as the API has it; nothing is all sites. */
export function sitesOf(typed: string): string[] | null {
  const sites = names(typed)
  return sites.length === 0 ? null : sites
}
