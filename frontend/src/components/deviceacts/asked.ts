/** What a person may ask of devices of a type, and how what is typed becomes a value. */
import type { CommandInfo, ParameterInfo, PropertyInfo, TypeInfo } from "@/api/schema"

const ROLES = ["viewer", "operator", "engineer", "admin"]

export type Offer =
  | { readonly what: "property"; readonly spec: PropertyInfo }
  | { readonly what: "command"; readonly spec: CommandInfo }

/** The properties and commands of a type that a role reaches. */
export function askable(type: TypeInfo | undefined, role: string | undefined): readonly Offer[] {
  const reaches = (needed: string) =>
    needed !== "nobody" && role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(needed)
  return [
    ...(type?.commands ?? []).map((spec) => ({ what: "command", spec }) as const),
    ...(type?.properties ?? []).map((spec) => ({ what: "property", spec }) as const),
  ].filter(({ spec }) => reaches(spec.role))
}

/** What was typed for properties or parameters, by name. */
export type Texts = Readonly<Record<string, string>>
export type Values = Readonly<Record<string, string | number | boolean>>

/** What was typed as values; undefined while one of them is none. What need not go along may be left blank. */
export function typedValues(
  specs: readonly (PropertyInfo | ParameterInfo)[],
  texts: Texts,
): Values | undefined {
  const values: Record<string, string | number | boolean> = {}
  for (const spec of specs) {
    const text = texts[spec.name] ?? ""
    if ("required" in spec && !spec.required && text.trim() === "") continue
    const value = typedValue(spec, text)
    if (value === undefined) return undefined
    values[spec.name] = value
  }
  return values
}

/** A typed text as a value; undefined: it is none. */
export function typedValue(
  spec: PropertyInfo | ParameterInfo,
  text: string,
): string | number | boolean | undefined {
  const trimmed = text.trim()
  switch (spec.kind) {
    case "boolean":
      return trimmed === "true" ? true : trimmed === "false" ? false : undefined
    case "number":
    case "integer": {
      const value = Number(trimmed)
      if (trimmed === "" || !Number.isFinite(value)) return undefined
      if (spec.kind === "integer" && !Number.isInteger(value)) return undefined
      if ((spec.low !== null && value < spec.low) || (spec.high !== null && value > spec.high))
        return undefined
      return value
    }
    case "enum":
      return spec.choices.includes(trimmed) ? trimmed : undefined
    default:
      return trimmed === "" ? undefined : trimmed
  }
}
