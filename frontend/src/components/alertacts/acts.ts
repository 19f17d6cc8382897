/** What can be done to alerts, by their state, and which of it must say why. */
import type { AlertCommand, AlertItem, NotesNeeded } from "@/api/schema"
import type { Phrase } from "@/words/say"

const STANDING: readonly AlertCommand[] = ["suppress", "remove-from-service", "shelve"]

const BY_STATE: Readonly<Record<string, readonly AlertCommand[]>> = {
  UNACK: [...STANDING, "acknowledge"],
  RTN_UNACK: [...STANDING, "acknowledge"],
  LATCHED_UNACK: [...STANDING, "acknowledge"],
  ACKED: STANDING,
  LATCHED_ACKED: [...STANDING, "reset"],
  SHELVED: ["shelve", "unshelve"],
  SUPPRESSED_BY_DESIGN: ["unsuppress"],
  OUT_OF_SERVICE: ["return-to-service"],
}

/** What each button says; a text with dots asks something first. */
export const ACT_NAMES: Readonly<Record<AlertCommand, Phrase>> = {
  acknowledge: "alerts.acknowledge",
  reset: "alerts.reset",
  shelve: "alerts.shelve",
  unshelve: "alerts.unshelve",
  suppress: "alerts.suppress",
  unsuppress: "alerts.unsuppress",
  "remove-from-service": "alerts.remove",
  "return-to-service": "alerts.returnToService",
  assign: "alerts.assign",
  comment: "alerts.comment",
}

/** The commands that fit every one of these alerts; what answers them comes last. */
export function offered(alerts: readonly AlertItem[]): readonly AlertCommand[] {
  const [first, ...others] = alerts
  if (!first) return []
  const fitting = (BY_STATE[first.state] ?? []).filter((command) =>
    others.every(({ state }) => BY_STATE[state]?.includes(command)),
  )
  return ["comment", "assign", ...fitting]
}

/**
 * Whether a command must say why: the platform has `needed` notes by priority. Besides, whoever acknowledges several at once says
 * why where a critical one is among them.
 */
export function needsNote(
  command: AlertCommand,
  alerts: readonly Pick<AlertItem, "priority">[],
  needed: NotesNeeded | undefined,
): boolean {
  const takes = (kind: keyof NotesNeeded) => alerts.some(({ priority }) => needed?.[kind].includes(priority))
  switch (command) {
    case "comment":
      return true
    case "shelve":
    case "suppress":
    case "reset":
      return takes(command)
    case "remove-from-service":
      return takes("suppress")
    case "acknowledge":
      return takes(command) || (alerts.length > 1 && alerts.some(({ priority }) => priority === "critical"))
    default:
      return false
  }
}

const ASKING: readonly AlertCommand[] = ["assign", "shelve", "suppress", "remove-from-service"]

/** Whether something is asked before a command is sent. */
export function asksFirst(
  command: AlertCommand,
  alerts: readonly AlertItem[],
  needed: NotesNeeded | undefined,
): boolean {
  return ASKING.includes(command) || needsNote(command, alerts, needed)
}
