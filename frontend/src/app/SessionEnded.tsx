/** Over the page of whoever was logged in: the way back in. All else is out of reach until then, and stays as it is. */
import { useLayoutEffect, useRef } from "react"
import { createPortal } from "react-dom"
import { LoginPage } from "@/features/login/LoginPage"
import { say } from "@/words/say"
import css from "./SessionEnded.module.css"

export function SessionEnded() {
  const own = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => {
    const others = [...document.body.children].filter(
      (each): each is HTMLElement => each instanceof HTMLElement && each !== own.current && !each.inert,
    )
    for (const each of others) each.inert = true
    return () => {
      for (const each of others) each.inert = false
    }
  }, [])
  return createPortal(
    <div ref={own} className={css.over} role="dialog" aria-modal aria-label={say("login.title")}>
      <LoginPage ended />
    </div>,
    document.body,
  )
}
