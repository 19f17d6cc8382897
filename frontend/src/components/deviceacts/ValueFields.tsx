/** The fields for the values of properties or parameters, each with its range and unit. */
import { NativeSelect, TextInput } from "@mantine/core"
import type { ParameterInfo, PropertyInfo } from "@/api/schema"
import { unitText } from "@/words/figures"
import type { Texts } from "./asked"

interface Props {
  readonly specs: readonly (PropertyInfo | ParameterInfo)[]
  readonly texts: Texts
  readonly onChange: (texts: Texts) => void
}

export function ValueFields({ specs, texts, onChange }: Props) {
  return specs.map((spec) => (
    <ValueField
      key={spec.name}
      spec={spec}
      text={texts[spec.name] ?? ""}
      onChange={(text) => onChange({ ...texts, [spec.name]: text })}
    />
  ))
}

interface FieldProps {
  readonly spec: PropertyInfo | ParameterInfo
  readonly text: string
  readonly onChange: (text: string) => void
}

function ValueField({ spec, text, onChange }: FieldProps) {
  const choices = spec.kind === "boolean" ? ["true", "false"] : spec.choices
  const span = [spec.low, spec.high].filter((bound) => bound !== null).join(" … ")
  const hint = [span, spec.unit === "1" ? "" : unitText(spec.unit)].filter(Boolean).join(" ")
  if (choices.length > 0)
    return (
      <NativeSelect
        label={spec.title}
        value={text}
        data={["", ...choices]}
        onChange={({ target }) => onChange(target.value)}
      />
    )
  return (
    <TextInput
      label={spec.title}
      description={hint}
      value={text}
      inputMode={spec.kind === "string" ? "text" : "decimal"}
      onChange={({ target }) => onChange(target.value)}
    />
  )
}
