/** Commands about alerts, and the words about what became of them. */
import { type AlertAct, useAlertCommand } from "@/api/commands"
import { refusalText } from "@/components/alertText"
import { notify } from "@/components/notices"
import { say } from "@/words/say"

/** Do something about some alerts; shelving can be taken back from the notice. */
export function useAlertActs() {
  const { mutate, isPending } = useAlertCommand()
  const act = (deed: AlertAct, then?: () => void) => {
    if (deed.alerts.length === 0) return
    mutate(deed, {
      onSuccess: ({ done, refused }) => {
        if (done.length > 0)
          notify({
            text: say(`alerts.done.${deed.command}`, { n: done.length }),
            undo: deed.command === "shelve" ? () => act({ command: "unshelve", alerts: done }) : undefined,
          })
        if (refused.length > 0)
          notify({
            text: say("alerts.failed", { n: refused.length, reason: refused[0] && refusalText(refused[0]) }),
            failed: true,
          })
        then?.()
      },
      onError: (error) => notify({ text: `${say("problems.notDone")}: ${error.message}`, failed: true }),
    })
  }
  return { act, isPending }
}
