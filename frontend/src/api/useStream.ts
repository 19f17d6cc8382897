/** The tab's stream, for the parts that show or steer it. */
import { createContext, useContext, useEffect, useSyncExternalStore } from "react"
import type { LiveStream, StreamStatus } from "./stream"

export const StreamContext = createContext<LiveStream | null>(null)

export function useStream(): LiveStream {
  const stream = useContext(StreamContext)
  if (!stream) throw new Error("no StreamContext above this component")
  return stream
}

export function useStreamStatus(): StreamStatus {
  const stream = useStream()
  return useSyncExternalStore(stream.followStatus, stream.status)
}

/** Keep the live columns of these devices coming while they are shown. */
export function useWatch(ids: readonly string[]): void {
  const stream = useStream()
  const key = ids.join("\n")
  useEffect(() => (key ? stream.watch(key.split("\n")) : undefined), [stream, key])
}
