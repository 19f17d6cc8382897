/** Says that figures stand still while the connection is lost, and once that it is back. */
import { useEffect, useRef, useState } from "react"
import { useStream, useStreamStatus } from "@/api/useStream"
import { notify } from "@/components/notices"
import { say } from "@/words/say"
import { clock, zoneShort } from "@/words/times"
import css from "./ConnectionLine.module.css"

/** A blip is not worth a line. */
const PATIENCE_MS = 2500

export function ConnectionLine() {
  const { phase, heardAt } = useStreamStatus()
  const stream = useStream()
  const [lost, setLost] = useState(false)
  const told = useRef(false)

  useEffect(() => {
    if (phase === "live") {
      setLost(false)
      if (told.current) notify({ text: say("live.back") })
      told.current = false
      return
    }
    if (phase !== "reconnecting") return
    const timer = setTimeout(() => {
      told.current = true
      setLost(true)
    }, PATIENCE_MS)
    return () => clearTimeout(timer)
  }, [phase])

  if (!lost) return null
  const at = heardAt === null ? null : heardAt - stream.skew
  const time = at === null ? "–" : `${clock(at)} ${zoneShort(at)}`
  return (
    <div className={css.line} role="alert">
      <span>{say("live.showing", { time })}</span>
      <button type="button" onClick={stream.connectNow}>
        {say("live.tryNow")}
      </button>
    </div>
  )
}
