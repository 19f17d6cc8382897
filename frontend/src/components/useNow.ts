/** The time, followed: one timer for every ageing figure on the screen. */
import { useSyncExternalStore } from "react"
import { now } from "@/words/times"

const listeners = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined
let second = Math.floor(now() / 1000)

/** Epoch ms on the server's clock, to the second; draws again when it changes. */
export function useNow(): number {
  return useSyncExternalStore(follow, () => second) * 1000
}

function follow(listener: () => void): () => void {
  listeners.add(listener)
  timer ??= setInterval(tick, 250)
  tick()
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) {
      clearInterval(timer)
      timer = undefined
    }
  }
}

function tick(): void {
  const present = Math.floor(now() / 1000)
  if (present === second) return
  second = present
  for (const listener of listeners) listener()
}
