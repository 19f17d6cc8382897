/** How many alerts there are of each priority; one of them is looked at alone. */
import type { AlertCounts, Priority } from "@/api/schema"
import { Chip } from "@/components/Chip"
import { PriorityMark } from "@/components/PriorityMark"
import { PRIORITIES } from "@/components/tokens"
import { count } from "@/words/figures"
import { say } from "@/words/say"

interface Props {
  readonly counts: AlertCounts | undefined
  readonly chosen: string | undefined
  readonly onChoose: (priority: Priority | undefined) => void
}

export function PriorityChips({ counts, chosen, onChoose }: Props) {
  return PRIORITIES.map((priority) => (
    <Chip
      key={priority}
      pressed={chosen === priority}
      label={say("priority.count", { n: counts?.[priority] ?? 0, priority: say(`priority.${priority}`) })}
      onClick={() => onChoose(chosen === priority ? undefined : priority)}
    >
      <PriorityMark priority={priority} labelled /> {count(counts?.[priority] ?? 0)}
    </Chip>
  ))
}
