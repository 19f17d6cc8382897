/** What is otherwise in one version than in another, line by line: before and after. */
import type { TypeChange } from "@/api/schema"
import { say } from "@/words/say"
import css from "./rules.module.css"

export function Changes({ changes }: { readonly changes: readonly TypeChange[] }) {
  if (changes.length === 0) return null
  return (
    <dl className={css.changes}>
      {changes.map(({ path, before, after }) => (
        <div key={path} className={css.change}>
          <dt>
            <code>{path.replace(/^rules\./, "")}</code>
          </dt>
          <dd>
            <del>
              <span className="visually-hidden">{say("rules.before")} </span>
              {shown(before)}
            </del>
            <span aria-hidden> → </span>
            <ins>
              <span className="visually-hidden">{say("rules.after")} </span>
              {shown(after)}
            </ins>
          </dd>
        </div>
      ))}
    </dl>
  )
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return say("app.none")
  return typeof value === "object" ? JSON.stringify(value) : String(value)
}
