/** The rules as text. Each pause in typing is checked: what cannot be read, with its line, and what would change. */
import { Button, Textarea, TextInput } from "@mantine/core"
import { useDebouncedValue } from "@mantine/hooks"
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { ApiError } from "@/api/client"
import { rulesCheckQuery, rulesTextQuery, useStageRules } from "@/api/rules"
import type { TypeVersions } from "@/api/schema"
import { Card } from "@/components/Card"
import { notify } from "@/components/notices"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import { Changes } from "./Changes"
import { overtaken } from "./overtaken"
import { RehearsalPanel } from "./RehearsalPanel"
import css from "./rules.module.css"

const PAUSE_MS = 400

interface Props {
  readonly versions: TypeVersions
  readonly onClose: () => void
}

export function RuleEditor({ versions, onClose }: Props) {
  const { name, staged_rules } = versions
  // What is staged meanwhile is another text, and no reason to take this one away.
  const [begunFrom] = useState(staged_rules ?? undefined)
  const { data: before, error } = useQuery(rulesTextQuery(name, begunFrom))
  return (
    <Card title={say("rules.editor")} hint={say("rules.editorHelp")}>
      {error ? <Failed error={error} /> : null}
      {before === undefined ? (
        <Skeleton rows={8} />
      ) : (
        <Draft versions={versions} before={before} onClose={onClose} />
      )}
    </Card>
  )
}

interface DraftProps extends Props {
  readonly before: string
}

function Draft({ versions, before, onClose }: DraftProps) {
  const { name } = versions
  // What was begun stays a change of what was seen then, whatever comes meanwhile.
  const [begun, setBegun] = useState({ revision: versions.revision, text: before })
  const [text, setText] = useState(before)
  const [why, setWhy] = useState("")
  const [settled] = useDebouncedValue(text, PAUSE_MS)
  const { data: check, isFetching, error: unchecked } = useQuery(rulesCheckQuery(name, settled))
  const { mutate, isPending, error } = useStageRules(name)
  const isSettled = settled === text && !isFetching
  const isChanged = text !== begun.text
  const isLate = error instanceof ApiError && error.status === 412
  const isBehind = isLate && begun.revision !== versions.revision
  const stage = () =>
    mutate(
      { text, why: why.trim(), revision: begun.revision },
      {
        onSuccess: ({ rules }) => {
          notify({ text: say("rules.stagedNow", { n: rules }) })
          onClose()
        },
      },
    )
  return (
    <form
      className={css.editor}
      onSubmit={(event) => {
        event.preventDefault()
        stage()
      }}
    >
      <Textarea
        aria-label={say("rules.text")}
        classNames={{ input: css.text }}
        rows={22}
        spellCheck={false}
        value={text}
        onChange={({ target }) => setText(target.value)}
      />
      <div className={css.check} aria-live="polite">
        {unchecked ? <Failed error={unchecked} /> : null}
        {check ? (
          check.valid ? (
            <>
              <p className={css.verdict}>
                {check.changes.length === 0
                  ? say("rules.unchanged")
                  : say("rules.valid", { n: check.changes.length })}
              </p>
              <Changes changes={check.changes} />
            </>
          ) : (
            <ul className={css.problems}>
              {check.problems.map(({ line, problem, remedy }) => (
                <li key={`${line} ${problem}`}>
                  <strong>{say("rules.line", { n: line })}</strong> {problem}{" "}
                  <span className={css.muted}>{remedy}</span>
                </li>
              ))}
            </ul>
          )
        ) : null}
      </div>
      <RehearsalPanel
        type={name}
        text={text}
        isReady={isSettled && Boolean(check?.valid && check.changes.length > 0)}
      />
      {isBehind ? (
        <div className={css.late} role="alert">
          <p>{overtaken(versions)}</p>
          <Button onClick={() => setBegun({ ...begun, revision: versions.revision })}>
            {say("rules.goOn")}
          </Button>
        </div>
      ) : error && !isLate ? (
        <Failed error={error} />
      ) : null}
      <div className={css.stage}>
        <TextInput
          className={css.why}
          aria-label={say("rules.why")}
          placeholder={say("rules.why")}
          value={why}
          maxLength={2000}
          onChange={({ target }) => setWhy(target.value)}
        />
        <Button onClick={onClose}>{say("app.cancel")}</Button>
        <Button
          type="submit"
          variant="filled"
          disabled={!isChanged || !isSettled || !check?.valid || isPending || isBehind}
        >
          {say("rules.stage")}
        </Button>
      </div>
    </form>
  )
}
