/** Who may come in: people's accounts and devices' keys. */
import { useMe } from "@/api/session"
import { Accounts } from "./Accounts"
import { DeviceKeys } from "./DeviceKeys"

export function PeoplePage() {
  const me = useMe()
  const admin = me?.role === "admin"
  return (
    <>
      {admin ? <Accounts me={me.name} /> : null}
      <DeviceKeys admin={admin} />
    </>
  )
}
