/** Having a model trained: of which type, and by what it may tell; it runs as a job. */
import { Button, Checkbox, NativeSelect } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { type FormEvent, useState } from "react"
import { reaches } from "@/api/accounts"
import { useTraining } from "@/api/models"
import { typesQuery } from "@/api/queries"
import type { TypeInfo } from "@/api/schema"
import { useMe } from "@/api/session"
import { Dialog } from "@/components/Dialog"
import css from "@/components/dialogs.module.css"
import { notify } from "@/components/notices"
import { Problem } from "@/components/Problem"
import { say } from "@/words/say"

export function TrainAct() {
  const me = useMe()
  const { data: types } = useQuery(typesQuery)
  const [isAsking, setAsking] = useState(false)
  // A model is learned from devices of all sites.
  if (!types?.length || !reaches(me?.role, "engineer") || me?.sites !== null) return null
  return (
    <>
      <Button onClick={() => setAsking(true)}>{say("models.train")}</Button>
      {isAsking ? <TrainDialog types={types} onClose={() => setAsking(false)} /> : null}
    </>
  )
}

interface DialogProps {
  readonly types: readonly TypeInfo[]
  readonly onClose: () => void
}

function TrainDialog({ types, onClose }: DialogProps) {
  const [type, setType] = useState(types[0]?.name ?? "")
  const [withAge, setWithAge] = useState(true)
  const [promote, setPromote] = useState(true)
  const training = useTraining()
  const submit = (event: FormEvent) => {
    event.preventDefault()
    training.mutate(
      { type, with_age: withAge, promote },
      {
        onSuccess: ({ id }) => {
          notify({ text: say("models.trainBegun", { id }) })
          onClose()
        },
      },
    )
  }
  return (
    <Dialog onClose={onClose} title={say("models.trainTitle")}>
      <form className={css.form} onSubmit={submit}>
        <p>{say("models.trainHelp")}</p>
        <NativeSelect
          label={say("models.type")}
          value={type}
          data={types.map(({ name, title }) => ({ value: name, label: title || name }))}
          onChange={({ target }) => setType(target.value)}
          data-autofocus
        />
        <Checkbox
          label={say("models.withAge")}
          checked={withAge}
          onChange={({ target }) => setWithAge(target.checked)}
        />
        <Checkbox
          label={say("models.promoteBetter")}
          checked={promote}
          onChange={({ target }) => setPromote(target.checked)}
        />
        <Problem error={training.error} />
        <div className={css.acts}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" loading={training.isPending}>
            {say("models.trainDo")}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
