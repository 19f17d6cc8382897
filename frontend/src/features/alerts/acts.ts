/** What can be done to alerts, by their state, and which of it must say why. */
import type { AlertCommand, AlertItem } from "@/api/schema"
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
 * Whether a command must say why. What goes on the shelf always does; what hides an alert of critical or high priority, resets
 * a critical one, or acknowledges several at once with a critical one among them, does because of its priority.
 */
export function needsNote(command: AlertCommand, alerts: readonly Pick<AlertItem, "priority">[]): boolean {
  const critical = alerts.some(({ priority }) => priority === "critical")
  switch (command) {
    case "shelve":
    case "comment":
      return true
    case "suppress":
    case "remove-from-service":
      return alerts.some(({ priority }) => priority === "critical" || priority === "high")
    case "reset":
      return critical
    case "acknowledge":
      return critical && alerts.length > 1
    default:
      return false
  }
}

/** Whether something is asked before a command is sent. */
export function asksFirst(command: AlertCommand, alerts: readonly AlertItem[]): boolean {
  return ["assign", "suppress", "remove-from-service"].includes(command) || needsNote(command, alerts)
}
