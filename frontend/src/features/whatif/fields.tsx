/** The fields of the form: each shows what stands at a place in the scenario and puts what is typed there. */
import { NativeSelect, TextInput } from "@mantine/core"
import { useState } from "react"
import { count } from "@/words/figures"
import { at, type Document, type Path, put, textAt } from "./scenarioDocument"

interface Props {
  readonly document: Document
  readonly path: Path
  readonly label: string
  readonly onChange: (document: Document) => void
}

interface NumberProps extends Props {
  /** What stands for none; shown where none is given. */
  readonly usual?: number
  /** Whether a scenario must say it. */
  readonly isNeeded?: boolean
  readonly description?: string
}

/** A number; an empty field is what stands for none. What is half typed stays in the field alone. */
export function NumberField({ document, path, label, onChange, usual, isNeeded, description }: NumberProps) {
  const [typed, setTyped] = useState<string | null>(null)
  const value = at(document, path)
  return (
    <TextInput
      type="number"
      step="any"
      label={label}
      description={description}
      placeholder={usual === undefined ? "" : String(usual)}
      value={typed ?? (typeof value === "number" ? String(value) : "")}
      onBlur={() => setTyped(null)}
      onChange={({ target }) => {
        setTyped(target.value)
        if (target.value === "") onChange(put(document, path, isNeeded ? (usual ?? 0) : undefined))
        else if (Number.isFinite(target.valueAsNumber)) onChange(put(document, path, target.valueAsNumber))
      }}
    />
  )
}

interface TextProps extends Props {
  readonly placeholder?: string
  /** The texts that are offered. */
  readonly offered?: readonly string[]
  readonly isNeeded?: boolean
  readonly isMono?: boolean
}

export function TextField({ document, path, label, onChange, placeholder, offered, isNeeded }: TextProps) {
  const id = `whatif-${path.join("-")}`
  return (
    <>
      <TextInput
        label={label}
        placeholder={placeholder}
        list={offered ? id : undefined}
        value={textAt(document, path)}
        spellCheck={false}
        autoComplete="off"
        onChange={({ target }) =>
          onChange(put(document, path, target.value === "" && !isNeeded ? undefined : target.value))
        }
      />
      {offered ? (
        <datalist id={id}>
          {offered.map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
      ) : null}
    </>
  )
}

interface ChoiceProps<T extends string> extends Omit<Props, "onChange"> {
  readonly choices: readonly T[]
  readonly usual: T
  readonly title: (choice: T) => string
  readonly onChoose: (choice: T) => void
}

export function ChoiceField<T extends string>(props: ChoiceProps<T>) {
  const { document, path, label, choices, usual, title, onChoose } = props
  return (
    <NativeSelect
      label={label}
      value={textAt(document, path, usual)}
      data={choices.map((value) => ({ value, label: title(value) }))}
      onChange={({ target }) => onChoose(target.value as T)}
    />
  )
}

/** A list of names, typed with commas. */
export function NamesField({ document, path, label, onChange, placeholder }: TextProps) {
  const [typed, setTyped] = useState<string | null>(null)
  const value = at(document, path)
  return (
    <TextInput
      label={label}
      placeholder={placeholder}
      value={typed ?? (Array.isArray(value) ? value.join(", ") : "")}
      onBlur={() => setTyped(null)}
      onChange={({ target }) => {
        setTyped(target.value)
        const names = target.value
          .split(",")
          .map((each) => each.trim())
          .filter(Boolean)
        onChange(put(document, path, names.length > 0 ? names : undefined))
      }}
    />
  )
}

/** A number of hours in days, where that says more. */
export function inDays(hours: unknown): string {
  return typeof hours === "number" && hours >= 48 ? `${count(hours / 24, 1)}\u202fd` : ""
}
