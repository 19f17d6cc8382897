/** What is selected, what can be done with it, and the dialog that counts it first. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { lazy, Suspense, useState } from "react"
import { type DeviceChoice, typesQuery } from "@/api/queries"
import { useMe } from "@/api/session"
import { ActionBar } from "@/components/ActionBar"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { actsOf, type ManyAct } from "./manyActs"
import { type Selecting, whichOf } from "./useSelection"

const DIALOGS = {
  maintenance: lazy(() => import("./MaintainMany")),
  send: lazy(() => import("./SendMany")),
  retire: lazy(() => import("./RetireMany")),
} as const

interface Props {
  readonly selecting: Selecting
  /** In the list of which choice it was selected. */
  readonly choice: DeviceChoice
}

export function SelectionBar({ selecting: { selection, n, total, selectAll, clear }, choice }: Props) {
  const { data: types } = useQuery(typesQuery)
  const role = useMe()?.role
  const [asking, setAsking] = useState<ManyAct | null>(null)
  const Dialog = asking && DIALOGS[asking]
  return (
    <>
      <ActionBar
        selected={say(selection.all ? "many.allSelected" : "many.selected", { n, shown: count(n) })}
        onClear={clear}
        more={
          n < total ? (
            <Button variant="subtle" onClick={selectAll}>
              {say("many.selectAll", { n: total, shown: count(total) })}
            </Button>
          ) : null
        }
      >
        {actsOf(role, types).map((act) => (
          <Button key={act} onClick={() => setAsking(act)}>
            {say(`many.names.${act}`)}…
          </Button>
        ))}
      </ActionBar>
      <Suspense>
        {Dialog ? (
          <Dialog
            which={whichOf(selection, choice)}
            onClose={() => setAsking(null)}
            onDone={() => {
              setAsking(null)
              clear()
            }}
          />
        ) : null}
      </Suspense>
    </>
  )
}
