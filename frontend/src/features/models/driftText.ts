/** What is to be said of whether a model still fits. */
import type { ModelDrift } from "@/api/schema"
import { count, fixed, share } from "@/words/figures"
import { say } from "@/words/say"
import { moment, parse } from "@/words/times"

/** The judgement first, then what it comes from. */
export function driftText(found: ModelDrift): readonly string[] {
  const { version, reasons, devices, unlike, index, limit, since } = found
  if (version === null) return [say("models.driftNone")]
  const judged = reasons.length === 0 ? [say("models.driftFits")] : reasons.map(reasonText)
  const unlikeFacts = { n: devices, shown: count(devices), unlike: count(unlike) }
  return [
    ...judged,
    say("models.driftUnlike", { ...unlikeFacts, share: share(devices ? unlike / devices : 0) }),
    index === null || limit === null
      ? say("models.driftUnknown")
      : say("models.driftIndex", {
          index: fixed(index, 2),
          limit: fixed(limit, 2),
          since: moment(parse(since) ?? 0),
        }),
  ]
}

function reasonText(reason: ModelDrift["reasons"][number]): string {
  return say(`models.driftReasons.${reason}`)
}
