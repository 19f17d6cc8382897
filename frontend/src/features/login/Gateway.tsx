/** The card of the pages before the app: the name, a title, and what went wrong. */
import type { ReactNode } from "react"
import { Mark } from "@/components/Mark"
import { say } from "@/words/say"
import css from "./Gateway.module.css"

interface Props {
  readonly title: string
  readonly hint?: string
  readonly problem: string | null
  readonly children: ReactNode
}

export function Gateway({ title, hint, problem, children }: Props) {
  return (
    <main className={css.page}>
      <div className={css.card}>
        <p className={css.brand}>
          <Mark />
          {say("app.name")}
        </p>
        <h1 className={css.title}>{title}</h1>
        {hint ? <p className={css.hint}>{hint}</p> : null}
        {problem ? (
          <p className={css.problem} role="alert">
            {problem}
          </p>
        ) : null}
        {children}
      </div>
    </main>
  )
}
