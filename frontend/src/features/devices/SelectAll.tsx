/** The box above the boxes of a list: all that match, or none. */
import { Checkbox } from "@mantine/core"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import type { Selecting } from "./useSelection"

export function SelectAll({ n, total, selectAll, clear }: Selecting) {
  const every = n > 0 && n === total
  return (
    <Checkbox
      aria-label={say("many.selectAll", { n: total, shown: count(total) })}
      checked={every}
      indeterminate={!every && n > 0}
      onChange={every ? clear : selectAll}
    />
  )
}
