/** The fields of a maintenance record: what was done, by which action, against which failure mode, and a note. */
import { NativeSelect, Textarea } from "@mantine/core"
import type { Maintenance, TypeInfo } from "@/api/schema"
import { say } from "@/words/say"

const KINDS = ["inspection", "repair", "replacement", "failure"] as const

export interface Entry {
  readonly kind: Maintenance["kind"]
  readonly action: string
  readonly mode: string
  readonly note: string
}

export const BLANK: Entry = { kind: "inspection", action: "", mode: "", note: "" }

interface Props {
  /** Of what it is done to, as far as its actions and failure modes go. */
  readonly type: Pick<TypeInfo, "actions" | "failure_modes"> | undefined
  readonly entry: Entry
  readonly onChange: (entry: Entry) => void
}

export function MaintenanceFields({ type, entry, onChange }: Props) {
  const actions = type?.actions.filter((each) => each.kind === entry.kind) ?? []
  const modes = type?.failure_modes ?? []
  return (
    <>
      <NativeSelect
        data-autofocus
        label={say("maintenance.kind")}
        value={entry.kind}
        data={KINDS.map((value) => ({ value, label: say(`maintenance.kinds.${value}`) }))}
        onChange={({ target }) => onChange({ ...entry, kind: target.value as Entry["kind"], action: "" })}
      />
      {actions.length > 0 ? (
        <NativeSelect
          label={say("maintenance.action")}
          value={entry.action}
          data={[{ value: "", label: say("maintenance.noAction") }, ...actions.map(choice)]}
          onChange={({ target }) => onChange({ ...entry, action: target.value })}
        />
      ) : null}
      {modes.length > 0 ? (
        <NativeSelect
          label={say("maintenance.mode")}
          value={entry.mode}
          data={[{ value: "", label: say("maintenance.noMode") }, ...modes.map(choice)]}
          onChange={({ target }) => onChange({ ...entry, mode: target.value })}
        />
      ) : null}
      <Textarea
        label={say("maintenance.note")}
        placeholder={say("maintenance.notePlaceholder")}
        value={entry.note}
        maxLength={2000}
        onChange={({ target }) => onChange({ ...entry, note: target.value })}
      />
    </>
  )
}

/** An entry as the API takes it. */
export function recordOf({ kind, action, mode, note }: Entry): Maintenance {
  return { kind, action: action || undefined, failure_mode: mode || undefined, note: note.trim() }
}

function choice({ name, title }: { readonly name: string; readonly title: string }) {
  return { value: name, label: title || name }
}
