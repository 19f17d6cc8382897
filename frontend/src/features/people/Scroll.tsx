/** A table that may be wider than the screen; the keyboard can scroll it too. */
import type { ReactNode } from "react"
import css from "./people.module.css"

export function Scroll({ label, children }: { readonly label: string; readonly children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard (WCAG 2.1.1)
    <section className={css.scroll} aria-label={label} tabIndex={0}>
      {children}
    </section>
  )
}
