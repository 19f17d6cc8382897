/** What a person can decide about a recommendation, where they may: accept, dismiss, done. */
import { Button } from "@mantine/core"
import { lazy, Suspense, useState } from "react"
import { reaches } from "@/api/accounts"
import type { Deciding } from "@/api/recommendations"
import type { Recommendation } from "@/api/schema"
import { useMe } from "@/api/session"
import { say } from "@/words/say"
import css from "./advice.module.css"

const DecisionDialog = lazy(() => import("./DecisionDialog"))

const ACTS = [
  ["accept", "advice.accept"],
  ["dismiss", "advice.dismiss"],
  ["done", "advice.finish"],
] as const

export function AdviceActs({ item }: { readonly item: Recommendation }) {
  const mayAct = reaches(useMe()?.role, "operator")
  const [asked, setAsked] = useState<Deciding["act"] | null>(null)
  const state = item.decision?.state
  if (!mayAct || state === "done") return null
  return (
    <div className={css.acts}>
      {ACTS.filter(([act]) => !(act === "accept" && state === "accepted")).map(([act, label]) => (
        <Button key={act} onClick={() => setAsked(act)}>
          {say(label)}
        </Button>
      ))}
      <Suspense>
        {asked ? <DecisionDialog act={asked} item={item} onClose={() => setAsked(null)} /> : null}
      </Suspense>
    </div>
  )
}
