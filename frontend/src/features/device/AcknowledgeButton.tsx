/** One alert acknowledged where it is seen, by who may; where the platform wants a note of it, that is asked for first. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { lazy, Suspense, useState } from "react"
import { reaches } from "@/api/accounts"
import { notesNeededQuery, useAlertCommand } from "@/api/commands"
import { UNACKNOWLEDGED } from "@/api/queries"
import type { AlertItem, AlertOrder } from "@/api/schema"
import { useMe } from "@/api/session"
import { needsNote } from "@/components/alertacts/acts"
import { refusalText } from "@/components/alertText"
import { notify } from "@/components/notices"
import { say } from "@/words/say"

const ActDialog = lazy(() => import("@/components/alertacts/ActDialog"))

export function AcknowledgeButton({ alert }: { readonly alert: AlertItem }) {
  const { mutate, isPending } = useAlertCommand()
  const { data: needed } = useQuery(notesNeededQuery)
  const mayAct = reaches(useMe()?.role, "operator")
  const [isAsking, setAsking] = useState(false)
  if (!mayAct || !UNACKNOWLEDGED.includes(alert.state)) return null
  const acknowledge = (order?: AlertOrder) =>
    mutate(
      { command: "acknowledge", alerts: [alert], order },
      {
        onSuccess: ({ done, refused }) => {
          if (done.length > 0) notify({ text: say("alerts.done.acknowledge", { n: 1 }) })
          for (const refusal of refused)
            notify({ text: say("alerts.failed", { n: 1, reason: refusalText(refusal) }), failed: true })
        },
      },
    )
  return (
    <>
      <Button
        onClick={() => (needsNote("acknowledge", [alert], needed) ? setAsking(true) : acknowledge())}
        disabled={isPending}
      >
        {say("alerts.acknowledge")}
      </Button>
      <Suspense>
        {isAsking ? (
          <ActDialog
            command="acknowledge"
            alerts={[alert]}
            needed={needed}
            onClose={() => setAsking(false)}
            onAnswer={(order) => {
              acknowledge(order)
              setAsking(false)
            }}
          />
        ) : null}
      </Suspense>
    </>
  )
}
