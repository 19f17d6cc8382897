/** A health score with its place between 0 and 100. Grey: the figure itself is not an alert. */
import { health } from "@/words/figures"
import { say } from "@/words/say"
import css from "./HealthBar.module.css"

export function HealthBar({ value }: { readonly value: number | null }) {
  if (value === null) return <span className={css.none}>–</span>
  return (
    <span className={css.health} title={say("map.health", { n: value.toFixed(1) })}>
      <span className={css.figure}>{health(value)}</span>
      <span className={css.track} aria-hidden>
        <span className={css.fill} style={{ width: `${Math.max(0, Math.min(100, value))}%` }} />
      </span>
    </span>
  )
}
