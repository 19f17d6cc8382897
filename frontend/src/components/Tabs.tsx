/** Links to the parts of a page. Where they do not all fit, the one that is open is scrolled to. */
import { type ReactNode, useEffect, useRef } from "react"
import tabs from "./tabs.module.css"

export function Tabs({ label, children }: { readonly label: string; readonly children: ReactNode }) {
  const strip = useRef<HTMLElement>(null)
  useEffect(() => {
    strip.current
      ?.querySelector("[aria-current=page]")
      ?.scrollIntoView({ block: "nearest", inline: "nearest" })
  })
  return (
    <nav ref={strip} className={tabs.tabs} aria-label={label}>
      {children}
    </nav>
  )
}
