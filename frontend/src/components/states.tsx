/** The designed ways of having nothing to show: not yet, nothing there, and failed. */
import { Button } from "@mantine/core"
import { type CSSProperties, type ReactNode, useEffect, useState } from "react"
import { ApiError } from "@/api/client"
import { say } from "@/words/say"
import css from "./states.module.css"

const PATIENCE_MS = 300

/** Rows in the shape of what will come; invisible for the first 300 ms, so that quick answers do not flash. */
export function Skeleton({ rows, height = 32 }: { readonly rows: number; readonly height?: number }) {
  const [shown, setShown] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), PATIENCE_MS)
    return () => clearTimeout(timer)
  }, [])
  return (
    <div role="status" data-shown={shown} className={css.skeleton}>
      <span className="visually-hidden">{say("app.loading")}</span>
      {Array.from({ length: rows }, (_, i) => i).map((i) => (
        <div
          key={i}
          className={css.bone}
          style={{ height, "--part": `${40 + ((i * 29) % 45)}%` } as CSSProperties}
        />
      ))}
    </div>
  )
}

interface EmptyProps {
  readonly title: string
  /** Where it is all that the page has to say, its title is the page's heading. */
  readonly wholePage?: boolean
  readonly children?: ReactNode
  readonly action?: ReactNode
}

export function Empty({ title, wholePage = false, children, action }: EmptyProps) {
  const Title = wholePage ? "h1" : "p"
  return (
    <div className={css.state}>
      <Title className={css.title}>{title}</Title>
      {children ? <p className={css.help}>{children}</p> : null}
      {action ? <div className={css.action}>{action}</div> : null}
    </div>
  )
}

/** What happened, what was kept, what to do. */
export function Failed({ error, retry }: { readonly error: unknown; readonly retry?: () => void }) {
  const problem = error instanceof ApiError ? error.problem : null
  const unreachable = problem?.status === 0
  return (
    <div className={css.state} role="alert">
      <p className={css.title}>{problem?.title ?? say("problems.failed")}</p>
      <p className={css.help}>
        {unreachable
          ? say("problems.unreachableHelp")
          : problem?.detail || (error instanceof Error ? error.message : "")}
      </p>
      {problem && !unreachable ? (
        <p className={css.code}>{say("problems.code", { code: problem.code })}</p>
      ) : null}
      {retry ? (
        <div className={css.action}>
          <Button onClick={retry}>{say("app.retry")}</Button>
        </div>
      ) : null}
    </div>
  )
}
