/**
 * The app for who is logged in; for others the way in. The address stays, so that one lands where one was going.
 *
 * When a session ends, the page stays as it is below the way back in: what was typed is there again. Somebody else who logs
 * in there gets a page of their own.
 */
import { useQuery, useQueryClient } from "@tanstack/react-query"
import { type ReactNode, useEffect, useState } from "react"
import { bindStream } from "@/api/live"
import { askWho, meQuery } from "@/api/session"
import { useStream, useStreamStatus } from "@/api/useStream"
import { Failed } from "@/components/states"
import { ChoosePasswordPage } from "@/features/login/ChoosePasswordPage"
import { LoginPage } from "@/features/login/LoginPage"
import { SessionEnded } from "./SessionEnded"

export function SessionGate({ children }: { readonly children: ReactNode }) {
  const { data: me, error, refetch } = useQuery(meQuery)
  const [owner, setOwner] = useState<string | null>(null)
  if (me && owner === null) setOwner(me.name)
  const isAnother = me && owner !== null && me.name !== owner
  useEffect(() => {
    if (isAnother) location.reload()
  }, [isAnother])
  if (me === undefined) return error ? <Failed error={error} retry={refetch} /> : null
  if (isAnother) return null
  if (me === null) return <LoginPage ended={false} />
  if (me.must_change) return me.ended ? <LoginPage ended /> : <ChoosePasswordPage name={me.name} />
  return (
    <>
      <Live session={me.ended ? null : me.session} />
      {children}
      {me.ended ? <SessionEnded /> : null}
    </>
  )
}

/** The stream runs for as long as somebody is logged in. It ends with the session, so when it is lost, that is asked. */
function Live({ session }: { readonly session: string | null }) {
  const stream = useStream()
  const cache = useQueryClient()
  const lost = useStreamStatus().phase === "reconnecting"
  useEffect(() => {
    if (session === null) return
    const unbind = bindStream(stream, cache)
    stream.start()
    return () => {
      stream.stop()
      unbind()
    }
  }, [stream, cache, session])
  useEffect(() => {
    if (lost) askWho(cache)
  }, [lost, cache])
  return null
}
