/** Putting versions in force: what that changes is shown first. */

import { Button, TextInput } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { type FormEvent, useState } from "react"
import type { TypeVersions } from "@/api/schema"
import { differencesQuery, type Part, useActivate } from "@/api/types"
import { Dialog } from "@/components/Dialog"
import { notify } from "@/components/notices"
import { Problem } from "@/components/Problem"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import css from "./admin.module.css"
import { Changes } from "./Changes"

/** Which versions; what is left out stays. */
export interface Wanted {
  readonly version?: number
  readonly rules?: number
}

interface Props {
  readonly versions: TypeVersions
  readonly wanted: Wanted
  readonly onClose: () => void
}

export function ActivateDialog({ versions, wanted, onClose }: Props) {
  const { name, in_force } = versions
  // What comes meanwhile was not seen: who was later is told so.
  const [revision] = useState(versions.revision)
  const activate = useActivate(name)
  const [why, setWhy] = useState("")
  const submit = (event: FormEvent) => {
    event.preventDefault()
    activate.mutate(
      { ...wanted, why, revision },
      {
        onSuccess: () => {
          notify({ text: say("types.activated", { name }) })
          onClose()
        },
      },
    )
  }
  return (
    <Dialog size="lg" onClose={onClose} title={say("types.activateTitle", { name })}>
      <form className={css.form} onSubmit={submit}>
        <p>{say("types.activateHelp")}</p>
        <Difference part="type" name={name} first={in_force?.version} second={wanted.version} />
        <Difference part="rules" name={name} first={in_force?.rules} second={wanted.rules} />
        <TextInput
          label={say("types.whyLabel")}
          value={why}
          maxLength={2000}
          onChange={({ target }) => setWhy(target.value)}
          data-autofocus
        />
        <Problem error={activate.error} />
        <div className={css.foot}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" loading={activate.isPending}>
            {say("types.activate")}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

interface DifferenceProps {
  readonly part: Part
  readonly name: string
  readonly first: number | undefined
  readonly second: number | undefined
}

function Difference({ part, name, first, second }: DifferenceProps) {
  const isAsked = first !== undefined && second !== undefined
  const { data, error } = useQuery({
    ...differencesQuery(name, part, first ?? 1, second ?? 1),
    enabled: isAsked,
  })
  if (!isAsked) return null
  return (
    <section>
      <h3 className={css.name}>
        {say(part === "type" ? "types.comparedType" : "types.comparedRules", { first, second })}
      </h3>
      <div className={css.found}>
        {error ? <Failed error={error} /> : data ? <Changes changes={data.changes} /> : <Skeleton rows={2} />}
      </div>
    </section>
  )
}
