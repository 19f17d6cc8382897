/** Changing and removing a channel or a route. */
import { Button } from "@mantine/core"
import { SureButton } from "@/components/SureButton"
import { say } from "@/words/say"

interface Props {
  readonly name: string
  readonly onChange: () => void
  readonly onRemove: () => void
}

export function RowActs({ name, onChange, onRemove }: Props) {
  return (
    <>
      <Button aria-label={say("notifications.changeOf", { name })} onClick={onChange}>
        {say("app.change")}
      </Button>
      <SureButton label={say("notifications.removeOf", { name })} onSure={onRemove}>
        {say("app.remove")}
      </SureButton>
    </>
  )
}
