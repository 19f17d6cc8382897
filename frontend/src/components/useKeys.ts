/** Single-key shortcuts: quiet while somebody types or a dialog is open, and only where the reader wants them. */
import { useEffect, useRef } from "react"
import { preferences } from "@/words/preferences"

export type Keys = Readonly<Record<string, (event: KeyboardEvent) => void>>

/** Act on keys by their `event.key`; "mod+k" is Ctrl or Command with k, and works while somebody types, too. */
export function useKeys(keys: Keys): void {
  const latest = useRef(keys)
  useEffect(() => {
    latest.current = keys
  })
  useEffect(() => {
    const act = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.altKey) return
      const modified = event.ctrlKey || event.metaKey
      const name = modified ? `mod+${event.key.toLowerCase()}` : event.key
      const does = latest.current[name]
      if (!does || (!modified && (!preferences().keys || isBusy(event.target)))) return
      // The browser takes it no more than the app does where a dialog is open.
      event.preventDefault()
      if (!isCovered()) does(event)
    }
    window.addEventListener("keydown", act)
    return () => window.removeEventListener("keydown", act)
  }, [])
}

function isCovered(): boolean {
  return document.querySelector("[role=dialog]") !== null
}

function isBusy(target: EventTarget | null): boolean {
  if (isCovered()) return true
  if (!(target instanceof HTMLElement)) return false
  if (target instanceof HTMLInputElement) return target.type !== "checkbox" && target.type !== "radio"
  return (
    target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement
  )
}
