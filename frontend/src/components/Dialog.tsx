/** What stands above a page until it is answered or closed; the focus then is again where it was. */
import { Modal, type ModalProps } from "@mantine/core"
import { type ReactNode, useEffect, useState } from "react"
import { say } from "@/words/say"

interface Props extends Omit<ModalProps, "opened" | "title" | "closeButtonProps"> {
  readonly title: ReactNode
}

/** Open for as long as it is drawn. Mantine gives the focus back only from a dialog that stays, closed. */
export function Dialog(props: Props) {
  useFocusBack()
  return <Modal opened closeButtonProps={{ "aria-label": say("app.close") }} {...props} />
}

/** Where the focus was before a dialog, or before the first of some that followed each other. */
let outside: Element | null = null

function useFocusBack() {
  const [before] = useState(() => {
    const { activeElement } = document
    if (!activeElement?.closest("[role=dialog]")) outside = activeElement
    return outside
  })
  useEffect(
    () => () => {
      const isNowhere = document.activeElement === null || document.activeElement === document.body
      if (isNowhere && before instanceof HTMLElement && before.isConnected)
        before.focus({ preventScroll: true })
    },
    [before],
  )
}
