/** The app for who is logged in; for others the way in. The address stays, so that one lands where one was going. */
import { useQuery, useQueryClient } from "@tanstack/react-query"
import { type ReactNode, useEffect, useRef } from "react"
import { bindStream } from "@/api/live"
import { meQuery } from "@/api/session"
import { useStream, useStreamStatus } from "@/api/useStream"
import { Failed } from "@/components/states"
import { ChoosePasswordPage } from "@/features/login/ChoosePasswordPage"
import { LoginPage } from "@/features/login/LoginPage"

export function SessionGate({ children }: { readonly children: ReactNode }) {
  const { data: me, error, refetch } = useQuery(meQuery)
  const before = useRef(false)
  useEffect(() => {
    if (me) before.current = true
  }, [me])
  if (me === undefined) return error ? <Failed error={error} retry={refetch} /> : null
  if (me === null) return <LoginPage ended={before.current} />
  if (me.must_change) return <ChoosePasswordPage name={me.name} />
  return <Live key={me.session}>{children}</Live>
}

/** The stream runs for as long as somebody is logged in. It ends with the session, so when it is lost, that is asked. */
function Live({ children }: { readonly children: ReactNode }) {
  const stream = useStream()
  const cache = useQueryClient()
  const lost = useStreamStatus().phase === "reconnecting"
  useEffect(() => {
    const unbind = bindStream(stream, cache)
    stream.start()
    return () => {
      stream.stop()
      unbind()
    }
  }, [stream, cache])
  useEffect(() => {
    if (lost) cache.invalidateQueries({ queryKey: meQuery.queryKey })
  }, [lost, cache])
  return children
}
