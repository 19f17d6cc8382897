/** A small rounded choice or fact. With `onClick` it is a button that can be pressed in. */
import type { ReactNode } from "react"
import css from "./Chip.module.css"

interface Props {
  readonly children: ReactNode
  readonly pressed?: boolean
  readonly onClick?: () => void
  readonly title?: string
  readonly label?: string
}

export function Chip({ children, pressed, onClick, title, label }: Props) {
  if (!onClick) {
    return (
      <span className={css.chip} title={title}>
        {children}
      </span>
    )
  }
  return (
    <button
      type="button"
      className={css.chip}
      aria-pressed={pressed}
      aria-label={label}
      title={title}
      onClick={onClick}
    >
      {children}
    </button>
  )
}
