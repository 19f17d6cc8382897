/** A surface with a heading and, at its right, what the heading counts or offers. */
import type { ReactNode } from "react"
import { useId } from "react"
import css from "./Card.module.css"

interface Props {
  readonly title: ReactNode
  readonly hint?: ReactNode
  readonly aside?: ReactNode
  readonly children: ReactNode
  readonly className?: string
  /** Space around the content; rows bring their own. */
  readonly padded?: boolean
}

export function Card({ title, hint, aside, children, className = "", padded = false }: Props) {
  const id = useId()
  return (
    <section className={`${css.card} ${className}`} aria-labelledby={id}>
      <header className={css.header}>
        <h2 id={id} className={css.title}>
          {title}
        </h2>
        {hint ? <span className={css.hint}>{hint}</span> : null}
        {aside ? <div className={css.aside}>{aside}</div> : null}
      </header>
      <div className={padded ? css.padded : css.body}>{children}</div>
    </section>
  )
}
