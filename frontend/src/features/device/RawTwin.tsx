/** The twin as the API tells it, for whoever wants every field. */
import { Button } from "@mantine/core"
import { useState } from "react"
import type { DeviceDetail } from "@/api/schema"
import { notify } from "@/components/notices"
import { say } from "@/words/say"
import css from "./RawTwin.module.css"

export function RawTwin({ device }: { readonly device: DeviceDetail }) {
  const [open, setOpen] = useState(false)
  const text = open ? JSON.stringify(device, null, 2) : ""
  return (
    <details className={css.raw} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary className={css.summary}>
        <span className={css.title}>{say("device.raw")}</span>
        <span className={css.help}>{say("device.rawHelp")}</span>
      </summary>
      <div className={css.body}>
        <Button
          className={css.copy}
          onClick={() =>
            navigator.clipboard?.writeText(text).then(() => notify({ text: say("device.copied") }))
          }
        >
          {say("device.copy")}
        </Button>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scroll area must be reachable by keys */}
        <pre className={css.json} tabIndex={0}>
          {text}
        </pre>
      </div>
    </details>
  )
}
