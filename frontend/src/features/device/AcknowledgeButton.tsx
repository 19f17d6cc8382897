/** One alert acknowledged where it is seen. */
import { Button } from "@mantine/core"
import { useAlertCommand } from "@/api/commands"
import { UNACKNOWLEDGED } from "@/api/queries"
import type { AlertItem } from "@/api/schema"
import { refusalText } from "@/components/alertText"
import { notify } from "@/components/notices"
import { say } from "@/words/say"

export function AcknowledgeButton({ alert }: { readonly alert: AlertItem }) {
  const { mutate, isPending } = useAlertCommand()
  if (!UNACKNOWLEDGED.includes(alert.state)) return null
  const acknowledge = () =>
    mutate(
      { command: "acknowledge", alerts: [alert] },
      {
        onSuccess: ({ done, refused }) => {
          if (done.length > 0) notify({ text: say("alerts.done.acknowledge", { n: 1 }) })
          for (const refusal of refused)
            notify({ text: say("alerts.failed", { n: 1, reason: refusalText(refusal) }), failed: true })
        },
      },
    )
  return (
    <Button onClick={acknowledge} disabled={isPending}>
      {say("alerts.acknowledge")}
    </Button>
  )
}
