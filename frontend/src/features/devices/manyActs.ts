/** What can be done to many devices at once: by the person's role, and by what their types have in common. */
import { type Role, reaches } from "@/api/accounts"
import type { CommandInfo, DevicesDone, TypeInfo } from "@/api/schema"
import { askable } from "@/components/deviceacts/asked"

export type ManyAct = "maintenance" | "send" | "retire"

/** The acts that a role may do, of a fleet of these types. */
export function actsOf(role: Role | undefined, types: readonly TypeInfo[] | undefined): readonly ManyAct[] {
  if (!reaches(role, "operator")) return []
  const sends = types?.some((type) => commandsOf(type, role).length > 0)
  return [
    "maintenance",
    ...(sends ? (["send"] as const) : []),
    ...(reaches(role, "engineer") ? (["retire"] as const) : []),
  ]
}

export interface ManyOffer {
  readonly spec: CommandInfo
  /** How many of the devices have it. */
  readonly devices: number
}

/** Every command that a role may send to some of these devices. Types that mean the same by a name share an offer. */
export function offersOf(
  byType: DevicesDone["by_type"],
  types: readonly TypeInfo[],
  role: Role | undefined,
): readonly ManyOffer[] {
  const offers = new Map<string, ManyOffer>()
  for (const type of types)
    for (const spec of byType[type.name] ? commandsOf(type, role) : []) {
      const key = JSON.stringify([spec.name, spec.parameters])
      const devices = (offers.get(key)?.devices ?? 0) + (byType[type.name] ?? 0)
      offers.set(key, { spec, devices })
    }
  return [...offers.values()]
}

/** The maintenance actions and failure modes that all types among these devices have. */
export function sharedBy(
  byType: DevicesDone["by_type"],
  types: readonly TypeInfo[],
): Pick<TypeInfo, "actions" | "failure_modes"> | undefined {
  const [first, ...others] = types.filter(({ name }) => byType[name])
  if (!first) return undefined
  return {
    actions: first.actions.filter(({ name, kind }) =>
      others.every(({ actions }) => actions.some((each) => each.name === name && each.kind === kind)),
    ),
    failure_modes: first.failure_modes.filter(({ name }) =>
      others.every(({ failure_modes }) => failure_modes.some((each) => each.name === name)),
    ),
  }
}

const REASONS = 3

/** The first few reasons, and that there are more. */
export function reasonsOf({ refused, refused_total }: DevicesDone): string {
  const told = refused.slice(0, REASONS).map(({ detail }) => detail)
  return [...told, ...(refused_total > told.length ? ["…"] : [])].join("; ")
}

function commandsOf(type: TypeInfo, role: Role | undefined): readonly CommandInfo[] {
  return askable(type, role).flatMap(({ what, spec }) => (what === "command" ? [spec] : []))
}
