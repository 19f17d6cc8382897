/** What may be done with a version: put it in force or, where it is, go back to the one before. */
import { Button } from "@mantine/core"
import { useState } from "react"
import { reaches } from "@/api/accounts"
import type { ModelItem } from "@/api/schema"
import { useMe } from "@/api/session"
import { say } from "@/words/say"
import { ModelDialog } from "./ModelDialog"

interface Props {
  readonly model: ModelItem
  /** Where it is what the page is about. */
  readonly isFirst?: boolean
}

export function ModelAct({ model, isFirst = false }: Props) {
  const me = useMe()
  const [isAsking, setAsking] = useState(false)
  // A model is for devices of all sites; who is for some may look.
  if (!reaches(me?.role, "engineer") || me?.sites !== null) return null
  const isInForce = model.role === "champion"
  return (
    <>
      <Button
        variant={isFirst && !isInForce ? "filled" : undefined}
        aria-label={isInForce ? undefined : say("models.promoteOf", { n: model.version })}
        onClick={() => setAsking(true)}
      >
        {say(isInForce ? "models.rollBack" : "models.promote")}
      </Button>
      {isAsking ? <ModelDialog model={model} onClose={() => setAsking(false)} /> : null}
    </>
  )
}
