/** A route as a form holds it: minutes for seconds, names with commas for lists, and everything said. */
import type { Hours, NotificationRoute, NotificationRouteItem, Priority } from "@/api/schema"
import { names } from "@/components/names"
import type { Phrase } from "@/words/say"

export const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const

export interface StepDraft {
  /** Minutes, as typed. */
  readonly after: string
  readonly to: readonly string[]
}

export interface RouteDraft {
  readonly name: string
  readonly enabled: boolean
  readonly priority: Priority
  readonly sites: string
  readonly types: string
  readonly rules: string
  readonly zone: string
  readonly schedule: readonly Hours[]
  readonly quiet: readonly Hours[]
  readonly quietPriority: Priority
  /** Minutes, as typed. */
  readonly repeat: string
  readonly until: "acknowledged" | "returned"
  readonly steps: readonly StepDraft[]
}

/** The form of a route; of a new one without. `zone` is where the reader is. */
export function draftOf(route: NotificationRouteItem | null, zone: string): RouteDraft {
  return {
    name: route?.name ?? "",
    enabled: route?.enabled ?? true,
    priority: route?.priority ?? "high",
    sites: (route?.sites ?? []).join(", "),
    types: (route?.types ?? []).join(", "),
    rules: (route?.rules ?? []).join(", "),
    zone: route?.zone ?? zone,
    schedule: route?.schedule ?? [],
    quiet: route?.quiet ?? [],
    quietPriority: route?.quiet_priority ?? "critical",
    repeat: minutes(route?.repeat_s ?? 600),
    until: route?.until ?? "acknowledged",
    steps: (route?.steps ?? [{ to: [] }]).map(({ after_s, to }) => ({ after: minutes(after_s ?? 0), to })),
  }
}

/** The route that a form says. */
export function routeOf(draft: RouteDraft): NotificationRoute {
  const { quietPriority, repeat, steps, sites, types, rules, name, schedule, quiet, ...same } = draft
  return {
    ...same,
    name: name.trim(),
    sites: names(sites),
    types: names(types),
    rules: names(rules),
    schedule: [...schedule],
    quiet: [...quiet],
    quiet_priority: quietPriority,
    repeat_s: seconds(repeat),
    steps: steps.map(({ after, to }) => ({ after_s: seconds(after), to: [...to] })),
  }
}

/** What keeps a form from being saved, as far as the browser can tell; null: nothing. */
export function problemOf({ steps }: RouteDraft): Phrase | null {
  if (steps.some(({ to }) => to.length === 0)) return "notifications.route.nobody"
  const waits = steps.map(({ after }) => seconds(after))
  const isRising = waits.every((wait, i) => i === 0 || wait > (waits[i - 1] ?? 0))
  return isRising ? null : "notifications.route.rising"
}

/** The list with one of its items changed; left out where the change is null. */
export function replaced<T>(list: readonly T[], at: number, item: T | null): T[] {
  return list.flatMap((each, i) => (i !== at ? [each] : item === null ? [] : [item]))
}

function minutes(s: number): string {
  return String(Math.round((s / 60) * 100) / 100)
}

function seconds(typed: string): number {
  return Math.round(Number(typed) * 60)
}
