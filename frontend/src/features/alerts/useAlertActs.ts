/** Commands about alerts, and the words about what became of them. */
import { useRef } from "react"
import { type AlertAct, useAlertCommand } from "@/api/commands"
import { refusalText } from "@/components/alertText"
import { notify } from "@/components/notices"
import { say } from "@/words/say"

/** Do something about some alerts; shelving can be taken back from the notice. What is under way is not asked twice. */
export function useAlertActs() {
  const underway = useRef(new Set<string>())
  const { mutateAsync, isPending } = useAlertCommand({
    onSuccess: ({ done, refused }, { command, after }) => {
      if (done.length > 0)
        notify({
          text: say(`alerts.done.${command}`, { n: done.length }),
          undo: command === "shelve" ? () => act({ command: "unshelve", alerts: done }) : undefined,
        })
      if (refused.length > 0)
        notify({
          text: say("alerts.failed", { n: refused.length, reason: refused[0] && refusalText(refused[0]) }),
          failed: true,
        })
      after?.()
    },
    onError: (error) => notify({ text: `${say("problems.notDone")}: ${error.message}`, failed: true }),
  })
  const act = ({ command, alerts, ...deed }: AlertAct) => {
    const keyOf = (id: string) => `${command} ${id}`
    const asked = alerts.filter(({ id }) => !underway.current.has(keyOf(id)))
    if (asked.length === 0) return
    for (const { id } of asked) underway.current.add(keyOf(id))
    const end = () => {
      for (const { id } of asked) underway.current.delete(keyOf(id))
    }
    mutateAsync({ command, alerts: asked, ...deed }).then(end, end)
  }
  return { act, isPending }
}
