/** That somebody else changed the rules first: who, when and why, from what is now known. */
import type { TypeVersions } from "@/api/schema"
import { say } from "@/words/say"
import { clock, parse } from "@/words/times"

export function overtaken({ rules: [made], installations: [put] }: TypeVersions): string {
  const [first, second] = [parse(made?.at) ?? 0, parse(put?.at) ?? 0]
  const newest = second > first ? put : made
  if (!newest) return say("rules.overtakenUnknown")
  return say("rules.overtaken", {
    by: newest.by,
    time: clock(Math.max(first, second)),
    why: newest.why ? `: ${newest.why}` : "",
  })
}
