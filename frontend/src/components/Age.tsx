/** How long ago something was, exact time and zone on hover. */
import { age, ago, exact, parse } from "@/words/times"
import { useNow } from "./useNow"

interface Props {
  /** ISO, or epoch ms; null shows a dash. */
  readonly at: string | number | null | undefined
  /** "2 min" where the place says that it is past, "2 min ago" elsewhere. */
  readonly bare?: boolean
}

export function Age({ at, bare = false }: Props) {
  const present = useNow()
  const time = typeof at === "number" ? at : parse(at)
  if (time === null) return <span>–</span>
  return (
    <time dateTime={new Date(time).toISOString()} title={exact(time)} style={{ whiteSpace: "nowrap" }}>
      {bare ? age(time, present) : ago(time, present)}
    </time>
  )
}
