/** A secret that is shown this once. */
import { Button } from "@mantine/core"
import { say } from "@/words/say"
import css from "./HandOver.module.css"

interface Props {
  readonly text: string
  readonly secret: string
  readonly onDone: () => void
}

export function HandOver({ text, secret, onDone }: Props) {
  return (
    <div className={css.handOver} role="status">
      <span>{text}</span>
      <code>{secret}</code>
      <Button onClick={() => navigator.clipboard?.writeText(secret)}>{say("app.copy")}</Button>
      <Button onClick={onDone}>{say("app.done")}</Button>
    </div>
  )
}
