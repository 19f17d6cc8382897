/** Staging a type or its rules from a file: every problem with its line and what would change, before anything is kept. */

import { Button, NativeSelect, Textarea, TextInput } from "@mantine/core"
import { type ChangeEvent, type FormEvent, useState } from "react"
import type { TypeCheck } from "@/api/schema"
import { type Part, useStage, useValidate } from "@/api/types"
import { Dialog } from "@/components/Dialog"
import { notify } from "@/components/notices"
import { Problem } from "@/components/Problem"
import { say } from "@/words/say"
import css from "./admin.module.css"
import { Changes } from "./Changes"

interface Props {
  readonly name: string
  /** That at the opening is what somebody has seen. */
  readonly revision: number
  readonly onClose: () => void
}

export function StageDialog({ name, revision, onClose }: Props) {
  const [seen] = useState(revision)
  const [part, setPart] = useState<Part>("rules")
  const [text, setText] = useState("")
  const [why, setWhy] = useState("")
  const check = useValidate(name, part)
  const stage = useStage(name, part)
  const put = (next: string) => {
    setText(next)
    check.reset()
  }
  const read = async ({ target }: ChangeEvent<HTMLInputElement>) => {
    const file = target.files?.[0]
    if (file) put(await file.text())
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (!check.data?.valid) {
      check.mutate(text)
      return
    }
    stage.mutate(
      { file: text, why, revision: seen },
      {
        onSuccess: () => {
          notify({ text: say("types.stagedNow", { name }) })
          onClose()
        },
      },
    )
  }
  const isChecked = check.data?.valid === true
  return (
    <Dialog size="lg" onClose={onClose} title={say("types.stageTitle", { name })}>
      <form className={css.form} onSubmit={submit}>
        <NativeSelect
          label={say("types.stagePart")}
          value={part}
          data={[
            { value: "rules", label: say("types.partRules") },
            { value: "type", label: say("types.partType") },
          ]}
          onChange={({ target }) => {
            setPart(target.value as Part)
            check.reset()
          }}
        />
        <label>
          {say("types.chooseFile")}{" "}
          <input className={css.file} type="file" accept=".yaml,.yml,.json" onChange={read} />
        </label>
        <Textarea
          label={say("types.text")}
          description={say("types.textHelp")}
          value={text}
          rows={10}
          required
          spellCheck={false}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
          onChange={({ target }) => put(target.value)}
        />
        <TextInput
          label={say("types.whyLabel")}
          value={why}
          maxLength={2000}
          onChange={({ target }) => setWhy(target.value)}
        />
        <Checked check={check.data} />
        <Problem error={check.error ?? stage.error} />
        <div className={css.foot}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" loading={check.isPending || stage.isPending}>
            {say(isChecked ? "types.stageIt" : "types.check")}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

function Checked({ check }: { readonly check: TypeCheck | undefined }) {
  if (!check) return null
  return (
    <div className={css.found} role="status">
      {check.valid ? null : (
        <ul className={css.problems}>
          {check.problems.map(({ line, problem, remedy }) => (
            <li key={`${line} ${problem}`}>
              {say("types.problemAt", { line, problem })} <span className={css.detail}>{remedy}</span>
            </li>
          ))}
        </ul>
      )}
      {check.valid ? <Changes changes={check.changes} /> : null}
    </div>
  )
}
