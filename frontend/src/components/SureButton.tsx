/** A button for what cannot be taken back: the first press asks, the second does it; looking elsewhere lets it be. */
import { Button } from "@mantine/core"
import { useState } from "react"
import { say } from "@/words/say"

interface Props {
  readonly label: string
  readonly children: string
  readonly disabled?: boolean
  readonly onSure: () => void
}

export function SureButton({ label, children, disabled, onSure }: Props) {
  const [asked, setAsked] = useState(false)
  return (
    <Button
      aria-label={asked ? say("app.sureOf", { what: label }) : label}
      disabled={disabled}
      onBlur={() => setAsked(false)}
      onClick={() => {
        setAsked(!asked)
        if (asked) onSure()
      }}
    >
      {asked ? say("app.sure") : children}
    </Button>
  )
}
