/** A strip of figures, each with its name, its unit and what it is to be held against. */
import type { ReactNode } from "react"
import css from "./Figure.module.css"

export function FigureStrip({ label, children }: { readonly label: string; readonly children: ReactNode }) {
  return (
    <section className={css.strip} aria-label={label}>
      {children}
    </section>
  )
}

interface FigureProps {
  readonly title: string
  readonly figure: string
  readonly help: string
  /** What is wrong with it, if anything. */
  readonly over?: string
  readonly children?: ReactNode
}

export function Figure({ title, figure, help, over, children }: FigureProps) {
  return (
    <div className={css.figure}>
      <h2 className={css.name}>{title}</h2>
      <p className={css.value}>
        {figure}
        {over ? <span className={css.over}>{over}</span> : null}
      </p>
      {children}
      <p className={css.help}>{help}</p>
    </div>
  )
}
