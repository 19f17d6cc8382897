/** How many devices of each type something is about, the most first; where there is one type alone, its name. */
import type { DevicesDone } from "@/api/schema"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import css from "./ByType.module.css"

export function ByType({ counted: { matched, by_type } }: { readonly counted: DevicesDone }) {
  const types = Object.entries(by_type).sort(([, a], [, b]) => b - a)
  const missing = types.reduce((left, [, n]) => left - n, matched)
  if (types.length === 1 && missing === 0) return <p className={css.types}>{types[0]?.[0]}</p>
  return (
    <p className={css.types}>
      {types.map(([type, n]) => (
        <span key={type}>{say("many.ofType", { n: count(n), type })}</span>
      ))}
      {missing > 0 ? <span>{say("many.missing", { n: missing, shown: count(missing) })}</span> : null}
    </p>
  )
}
