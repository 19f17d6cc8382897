/** Short messages about what was just done, with a way back where there is one. */
import { Button } from "@mantine/core"
import { useSyncExternalStore } from "react"
import { say } from "@/words/say"
import css from "./notices.module.css"

export interface Notice {
  readonly text: string
  readonly failed?: boolean
  readonly undo?: () => void
}

const STAY_MS = 8000
let notices: readonly (Notice & { readonly id: number })[] = []
let count = 0
const listeners = new Set<() => void>()

/** Show a notice; failures stay until dismissed. */
export function notify(notice: Notice): void {
  count += 1
  const id = count
  set([...notices.slice(-3), { ...notice, id }])
  if (!notice.failed) setTimeout(() => dismiss(id), STAY_MS)
}

function dismiss(id: number): void {
  set(notices.filter((notice) => notice.id !== id))
}

function set(next: typeof notices): void {
  notices = next
  for (const listener of listeners) listener()
}

function follow(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function Notices() {
  const shown = useSyncExternalStore(follow, () => notices)
  return (
    <div className={css.notices} role="status" aria-live="polite">
      {shown.map(({ id, text, failed, undo }) => (
        <div key={id} className={css.notice} data-failed={failed}>
          <span className={css.text}>{text}</span>
          {undo ? (
            <Button
              variant="subtle"
              onClick={() => {
                dismiss(id)
                undo()
              }}
            >
              {say("app.undo")}
            </Button>
          ) : null}
          <Button variant="subtle" onClick={() => dismiss(id)}>
            {say("app.dismiss")}
          </Button>
        </div>
      ))}
    </div>
  )
}
