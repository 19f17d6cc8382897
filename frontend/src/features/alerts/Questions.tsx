/** What is asked before some acts are sent, about the alerts that are meant or about all that match. */
import { lazy, Suspense } from "react"
import type { AlertCommand, AlertCounts, AlertItem, AlertMatch, AlertOrder, NotesNeeded } from "@/api/schema"

const ActDialog = lazy(() => import("@/components/alertacts/ActDialog"))
const AcknowledgeAll = lazy(() => import("./AcknowledgeAll"))

export type Question =
  | { readonly command: AlertCommand; readonly alerts: readonly AlertItem[] }
  | { readonly matching: AlertMatch; readonly counts: AlertCounts }

interface Props {
  readonly question: Question | null
  readonly needed: NotesNeeded | undefined
  readonly onAnswer: (command: AlertCommand, alerts: readonly AlertItem[], order: AlertOrder) => void
  readonly onClose: () => void
}

export function Questions({ question, needed, onAnswer, onClose }: Props) {
  if (question === null) return null
  return (
    <Suspense>
      {"matching" in question ? (
        <AcknowledgeAll {...question} onClose={onClose} />
      ) : (
        <ActDialog
          {...question}
          needed={needed}
          onClose={onClose}
          onAnswer={(order) => {
            onAnswer(question.command, question.alerts, order)
            onClose()
          }}
        />
      )}
    </Suspense>
  )
}
