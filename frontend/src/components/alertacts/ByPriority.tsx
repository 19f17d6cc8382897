/** How many alerts of each priority something is about; those of which there are none are left out. */
import type { AlertCounts } from "@/api/schema"
import { PriorityMark } from "@/components/PriorityMark"
import { PRIORITIES } from "@/components/tokens"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import css from "./ByPriority.module.css"

export function ByPriority({ counts }: { readonly counts: AlertCounts }) {
  return (
    <span className={css.counts}>
      {PRIORITIES.filter((priority) => counts[priority] > 0).map((priority) => (
        <span key={priority} className={css.count}>
          <PriorityMark priority={priority} labelled />
          {say("priority.count", { n: count(counts[priority]), priority: say(`priority.${priority}`) })}
        </span>
      ))}
    </span>
  )
}
