/** New alerts that wait for somebody are heard, as the reader chose. */
import { useEffect } from "react"
import { UNACKNOWLEDGED } from "@/api/queries"
import { useStream } from "@/api/useStream"
import { chime } from "@/components/chime"
import { listener } from "@/components/sounding"
import { preferences } from "@/words/preferences"

export function useSounds(): void {
  const stream = useStream()
  useEffect(() => {
    const isHeard = listener()
    return stream.listen((message) => {
      if (message.type !== "NEW_ALERT" || !UNACKNOWLEDGED.includes(message.data.state)) return
      if (isHeard(message.data.priority, preferences(), performance.now())) chime(message.data.priority)
    })
  }, [stream])
}
