/** What is selected, what can be done with it, and the dialog that counts it first. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { getRouteApi, useNavigate } from "@tanstack/react-router"
import { lazy, Suspense, useState } from "react"
import { reaches } from "@/api/accounts"
import { type DeviceChoice, typesQuery } from "@/api/queries"
import { useMe } from "@/api/session"
import { ActionBar } from "@/components/ActionBar"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { wholeFilterOf } from "./filterOf"
import { actsOf, type ManyAct } from "./manyActs"
import { asFilter, type Selecting, whichOf } from "./useSelection"

const DIALOGS = {
  maintenance: lazy(() => import("./MaintainMany")),
  send: lazy(() => import("./SendMany")),
  retire: lazy(() => import("./RetireMany")),
} as const

const route = getRouteApi("/devices")

interface Props {
  readonly selecting: Selecting
  /** In the list of which choice it was selected. */
  readonly choice: DeviceChoice
}

export function SelectionBar({ selecting: { selection, n, total, selectAll, clear }, choice }: Props) {
  const { data: types } = useQuery(typesQuery)
  const role = useMe()?.role
  const navigate = useNavigate()
  const asked = asFilter(selection, wholeFilterOf(route.useSearch()))
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
        {reaches(role, "engineer") && asked !== null ? (
          <Button onClick={() => navigate({ to: "/whatif/new", search: { devices: asked } })}>
            {say("pages.askWhatIf")}
          </Button>
        ) : null}
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
