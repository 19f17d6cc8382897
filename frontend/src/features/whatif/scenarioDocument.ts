/**
 * A scenario as the form holds it: JSON values in the shape of its file, whatever is in it. What the form does not know is
 * kept as it is.
 */

export type Value = string | number | boolean | null | readonly Value[] | Document
export interface Document {
  readonly [key: string]: Value
}
export type Path = readonly (string | number)[]

export const POLICIES = ["nothing", "run_to_failure", "fixed_interval", "threshold", "prognosis"] as const
export const STARTS = ["live", "past", "fleet"] as const
export const GROUPS = ["none", "site", "type"] as const
export const METRICS = [
  "failures",
  "availability",
  "cost",
  "maintenance_cost",
  "downtime_cost",
  "downtime_h",
  "planned",
  "energy_kwh",
  "health",
  "alerts",
  "alerts_per_10_min",
  "peak_alerts_in_10_min",
  "time_in_flood_share",
  "chattering",
  "standing",
  "time_to_acknowledge_s",
] as const

/** What stands for a key that is left out. */
export const DEFAULTS = {
  horizon_h: 720,
  step_s: 60,
  bucket_h: 24,
  group_by: "none",
  replications: 20,
  seed: 1,
  level: 0.9,
  metrics: ["failures", "availability", "cost", "alerts"],
  stopping: { metric: "cost", half_width: 0.05, relative: true, level: 0.9, at_least: 10, at_most: 500 },
  policy: { kind: "run_to_failure", every_h: 720, when: "health < 60", p_fail: 0.3, within_h: 168 },
} as const

/** What a scenario begins with that nobody has written yet; its step is long enough for devices that read each 10 min. */
export const BLANK: Document = {
  name: "maintenance",
  title: "Does it pay to maintain earlier?",
  base: { start: "live" },
  horizon_h: 720,
  step_s: 600,
  replications: 20,
  metrics: [...DEFAULTS.metrics],
  arms: [
    { name: "as-is", title: "As is", policy: { kind: "run_to_failure" } },
    { name: "earlier", title: "Earlier", policy: { kind: "threshold", when: "health < 60" } },
  ],
}

export type Field =
  | { readonly kind: "number"; readonly key: string; readonly start?: number }
  | {
      readonly kind: "text"
      readonly key: string
      readonly from?: "modes" | "channels" | "types" | "actions"
    }
  | { readonly kind: "sites"; readonly key: string }
  | { readonly kind: "choice"; readonly key: string; readonly choices: readonly string[] }

const WHICH: readonly Field[] = [
  { kind: "text", key: "devices" },
  { kind: "number", key: "share" },
]

/** The keys of each intervention; `start` is what a new one has. */
export const INTERVENTIONS: Readonly<Record<string, readonly Field[]>> = {
  load: [
    { kind: "number", key: "factor", start: 1.1 },
    { kind: "text", key: "devices" },
  ],
  ambient: [
    { kind: "number", key: "shift_k", start: 5 },
    { kind: "sites", key: "sites" },
  ],
  fault: [
    { kind: "text", key: "mode", from: "modes" },
    { kind: "number", key: "damage", start: 0.5 },
    { kind: "number", key: "speed" },
    ...WHICH,
  ],
  sensor: [
    { kind: "text", key: "channel", from: "channels" },
    {
      kind: "choice",
      key: "failure",
      choices: ["stuck", "drift", "shift", "dropout", "spike", "noise"],
    },
    { kind: "number", key: "size" },
    ...WHICH,
  ],
  grow: [
    { kind: "text", key: "type", from: "types" },
    { kind: "number", key: "count", start: 1 },
    { kind: "text", key: "site" },
  ],
  retire: WHICH,
  work: [{ kind: "text", key: "action", from: "actions" }, ...WHICH],
}

export const SPAN: readonly Field[] = [
  { kind: "number", key: "from_h" },
  { kind: "number", key: "until_h" },
  { kind: "number", key: "every_h" },
]

/** What a new intervention says. */
export function newIntervention(kind: string): Document {
  const fields = INTERVENTIONS[kind] ?? []
  const known = fields.flatMap((field): [string, Value][] => {
    if (field.kind === "number") return field.start === undefined ? [] : [[field.key, field.start]]
    if (field.kind === "choice") return [[field.key, field.choices[0] ?? ""]]
    return field.key === "devices" || field.key === "site" || field.key === "sites" ? [] : [[field.key, ""]]
  })
  return { [kind]: Object.fromEntries(known) }
}

/** What stands at a place; undefined where nothing does. */
export function at(document: Value | undefined, path: Path): Value | undefined {
  let here = document
  for (const step of path) {
    if (here === null || typeof here !== "object") return undefined
    here = Array.isArray(here) ? here[Number(step)] : (here as Document)[step]
  }
  return here
}

export function textAt(document: Document, path: Path, otherwise = ""): string {
  const value = at(document, path)
  return typeof value === "string" ? value : otherwise
}

export function listAt(document: Value | undefined, path: Path): readonly Value[] {
  const value = at(document, path)
  return Array.isArray(value) ? value : []
}

/** The document with another value at a place; undefined takes the key out, and sections that it leaves empty with it. */
export function put(document: Document, path: Path, value: Value | undefined): Document {
  return (placed(document, path, value) ?? {}) as Document
}

function placed(here: Value | undefined, path: Path, value: Value | undefined): Value | undefined {
  const [step, ...rest] = path
  if (step === undefined) return value
  if (Array.isArray(here)) {
    const next = placed(here[Number(step)], rest, value)
    if (next !== undefined) return here.toSpliced(Number(step), 1, next)
    return here.toSpliced(Number(step), 1)
  }
  const section = here !== null && typeof here === "object" ? (here as Document) : {}
  const next = placed(section[step], rest, value)
  const isEmptied = rest.length > 0 && next !== undefined && isEmpty(next)
  if (next === undefined || isEmptied) {
    const { [step]: _, ...others } = section
    return others
  }
  return { ...section, [step]: next }
}

function isEmpty(value: Value): boolean {
  return value !== null && typeof value === "object" && Object.keys(value).length === 0
}

/** The document with one arm more: the last, under a name that no other has. */
export function withArm(document: Document): Document {
  const arms = listAt(document, ["arms"])
  const names = new Set(arms.map((arm) => at(arm, ["name"])))
  let n = arms.length + 1
  while (names.has(`arm-${n}`)) n += 1
  const last = arms.at(-1) as Document | undefined
  const { title: _, ...rest } = last ?? {}
  return { ...document, arms: [...arms, { ...rest, name: `arm-${n}` }] }
}

/** The document without an arm; nothing is compared with one that is gone. */
export function withoutArm(document: Document, index: number): Document {
  const name = at(document, ["arms", index, "name"])
  const shorter = put(document, ["arms", index], undefined)
  return shorter.reference === name ? put(shorter, ["reference"], undefined) : shorter
}

/** The document with another name for an arm, also where it is the reference. */
export function withArmName(document: Document, index: number, name: string): Document {
  const before = at(document, ["arms", index, "name"])
  const named = put(document, ["arms", index, "name"], name)
  return named.reference !== undefined && named.reference === before ? { ...named, reference: name } : named
}

/** The policy of an arm with another kind: what only the kind before it had is taken out. */
export function withPolicy(document: Document, arm: number, kind: string): Document {
  const { action, review_h } = (at(document, ["arms", arm, "policy"]) ?? {}) as Document
  const { every_h, when, p_fail, within_h } = DEFAULTS.policy
  const own: Record<string, Document> = {
    fixed_interval: { every_h },
    threshold: { when },
    prognosis: { p_fail, within_h },
  }
  const kept = { ...(action ? { action } : {}), ...(review_h ? { review_h } : {}) }
  return put(document, ["arms", arm, "policy"], { kind, ...own[kind], ...kept })
}

/** The document for other devices; an empty filter is all of them. */
export function withDevices(document: Document, filter: string): Document {
  return put(document, ["base", "devices"], filter || undefined)
}

/** The text of a scenario's file: YAML in blocks, each text that could be read as something else in quotes. */
export function toYaml(document: Document): string {
  return `${block(document, 0).join("\n")}\n`
}

function block(section: Document, depth: number): string[] {
  const indent = "  ".repeat(depth)
  return Object.entries(section).flatMap(([key, value]) => {
    const name = `${indent}${scalar(key)}:`
    if (isInline(value)) return [`${name} ${inline(value)}`]
    if (Array.isArray(value)) return [name, ...value.flatMap((item) => listed(item, depth + 1))]
    return [name, ...block(value as Document, depth + 1)]
  })
}

function listed(item: Value, depth: number): string[] {
  const indent = "  ".repeat(depth)
  if (isInline(item)) return [`${indent}- ${inline(item)}`]
  const [first = "", ...rest] = block(item as Document, depth + 1)
  return [`${indent}- ${first.trimStart()}`, ...rest]
}

/** Single values, lists of them, and sections with nothing in them stand in one line. */
function isInline(value: Value): boolean {
  if (value === null || typeof value !== "object") return true
  return Array.isArray(value) ? value.every(isInline) : isEmpty(value)
}

function inline(value: Value): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`
  return value !== null && typeof value === "object"
    ? "{}"
    : scalar(value as string | number | boolean | null)
}

const PLAIN = /^[A-Za-z][\w.-]*( [\w.-]+)*$/
const WORDS = /^(true|false|null|yes|no|on|off|y|n)$/i

function scalar(value: string | number | boolean | null): string {
  if (typeof value !== "string") return String(value)
  return PLAIN.test(value) && !WORDS.test(value) ? value : JSON.stringify(value)
}
