/** A scenario as text with the numbers of its lines; those with a problem stand out. */
import { useEffect, useRef } from "react"
import type { ScenarioProblem } from "@/api/whatif"
import { Card } from "@/components/Card"
import { say } from "@/words/say"
import css from "./ScenarioText.module.css"

/** As in the stylesheet. */
const LINE_PX = 20
const ABOVE = 4
const INDENT = "  "

/** A line to select and show, counted from 1; each new object is gone to. */
export interface Target {
  readonly line: number
}

interface Props {
  readonly target: Target | null
  readonly text: string
  readonly problems: readonly ScenarioProblem[]
  readonly onChange: (text: string) => void
}

export function ScenarioText({ target, text, problems, onChange }: Props) {
  const area = useRef<HTMLTextAreaElement>(null)
  const numbers = useRef<HTMLOListElement>(null)
  const lines = text.split("\n")
  const wrong = new Map(problems.map(({ line, problem }) => [line, problem]))

  useEffect(() => {
    const field = area.current
    if (!field || !target) return
    const all = field.value.split("\n")
    const start = all.slice(0, target.line - 1).reduce((sum, each) => sum + each.length + 1, 0)
    field.focus()
    field.setSelectionRange(start, start + (all[target.line - 1]?.length ?? 0))
    field.scrollTop = Math.max(0, (target.line - 1 - ABOVE) * LINE_PX)
  }, [target])

  return (
    <Card title={say("whatif.editor.lines")}>
      <div className={css.text}>
        <ol ref={numbers} className={css.numbers} aria-hidden>
          {lines.map((_, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a line is its number
            <li key={i} data-wrong={wrong.has(i + 1) || undefined} title={wrong.get(i + 1)}>
              {i + 1}
            </li>
          ))}
        </ol>
        <textarea
          ref={area}
          className={css.area}
          aria-label={say("whatif.editor.lines")}
          aria-invalid={wrong.size > 0}
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
          wrap="off"
          value={text}
          onChange={({ target }) => onChange(target.value)}
          onScroll={({ currentTarget }) => {
            if (numbers.current) numbers.current.scrollTop = currentTarget.scrollTop
          }}
          onKeyDown={(event) => {
            // Enter goes on at the indent of its line.
            if (event.key !== "Enter" || event.nativeEvent.isComposing) return
            const { value, selectionStart } = event.currentTarget
            const line = value.slice(value.lastIndexOf("\n", selectionStart - 1) + 1, selectionStart)
            const indent = (/^ */.exec(line)?.[0] ?? "") + (/:\s*$/.test(line) ? INDENT : "")
            if (!indent) return
            event.preventDefault()
            event.currentTarget.setRangeText(
              `\n${indent}`,
              selectionStart,
              event.currentTarget.selectionEnd,
              "end",
            )
            onChange(event.currentTarget.value)
          }}
        />
      </div>
    </Card>
  )
}
