/** The frame of an act on many devices: how many they are stands first, what is asked of them follows, and then it is done. */

import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { type DeviceAct, type DeviceWhich, deviceCountQuery, useDeviceCommand } from "@/api/commands"
import type { DevicesDone } from "@/api/schema"
import { Dialog } from "@/components/Dialog"
import css from "@/components/dialogs.module.css"
import { notify } from "@/components/notices"
import { Failed, Skeleton } from "@/components/states"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { ByType } from "./ByType"
import { type ManyAct, reasonsOf } from "./manyActs"

export interface ManyProps {
  readonly which: DeviceWhich
  readonly onClose: () => void
  readonly onDone: () => void
}

interface Props extends ManyProps {
  readonly name: ManyAct
  /** What is asked; null while that is not complete. */
  readonly act: DeviceAct | null
  readonly children: ReactNode
}

export function ManyForm({ name, act, which, children, onClose, onDone }: Props) {
  const counted = useQuery(deviceCountQuery(which))
  const { mutate, isPending, error } = useDeviceCommand()
  const n = counted.data?.matched
  const send = () =>
    act &&
    mutate(
      { ...which, act, expected: n },
      {
        onError: () => void counted.refetch(), // others may match by now
        onSuccess: (answer) => {
          tell(name, answer)
          onDone()
        },
      },
    )
  return (
    <Dialog
      trapFocus={!counted.isPending} // until then there is no field to begin at
      onClose={onClose}
      title={n === undefined ? say(`many.names.${name}`) : say(`many.titles.${name}`, { n, shown: count(n) })}
    >
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault()
          send()
        }}
      >
        {counted.data ? (
          <>
            <ByType counted={counted.data} />
            {children}
          </>
        ) : counted.error ? (
          <Failed error={counted.error} />
        ) : (
          <Skeleton rows={3} />
        )}
        {error ? <Failed error={error} /> : null}
        <div className={css.acts}>
          <Button onClick={onClose}>{say("app.cancel")}</Button>
          <Button type="submit" variant="filled" disabled={!n || !act || isPending}>
            {n ? say(`many.does.${name}`, { n, shown: count(n) }) : say(`many.names.${name}`)}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

function tell(name: ManyAct, answer: DevicesDone) {
  const { done, refused_total: refused } = answer
  if (done > 0) notify({ text: say(`many.done.${name}`, { n: done, shown: count(done) }) })
  if (refused > 0)
    notify({
      text: say("many.refused", { n: refused, shown: count(refused), reasons: reasonsOf(answer) }),
      failed: true,
    })
}
