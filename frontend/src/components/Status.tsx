/** Whether a device reports. Reporting is the normal, and almost silent; no data is an outline, never a fill. */
import type { DeviceStatus } from "@/api/schema"
import { say } from "@/words/say"
import css from "./Status.module.css"

export function Status({ status }: { readonly status: DeviceStatus }) {
  return (
    <span className={css.status} data-status={status}>
      {say(`status.${status}`)}
    </span>
  )
}
