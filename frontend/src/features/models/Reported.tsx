/** What a report on a version came to: alerts before and after; where no rule asks for a forecast, that. */
import type { PromotionReport } from "@/api/schema"
import { RehearsalResult } from "@/components/rehearsal/RehearsalResult"
import { say } from "@/words/say"
import css from "./models.module.css"

export function Reported({ found: { comparison, rules, in_force, candidate } }: { found: PromotionReport }) {
  if (!comparison) return <p>{say("promotion.noRules")}</p>
  return (
    <>
      <p className={css.muted}>
        {in_force === null ? say("promotion.againstNothing") : say("promotion.against", { n: in_force })}{" "}
        {say("promotion.rules", { n: rules.length, rules: rules.join(", ") })}
      </p>
      <RehearsalResult found={comparison} after={say("models.versionN", { n: candidate })} />
    </>
  )
}
