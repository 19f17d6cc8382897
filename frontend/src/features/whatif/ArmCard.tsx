/** One arm of a scenario: how its devices are looked after, and what else happens to them. */
import { Button, Checkbox, NativeSelect } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { typesQuery } from "@/api/queries"
import type { TypeInfo } from "@/api/schema"
import { Card } from "@/components/Card"
import { say, sayOf } from "@/words/say"
import { ChoiceField, NamesField, NumberField, TextField } from "./fields"
import {
  at,
  DEFAULTS,
  type Document,
  type Field,
  INTERVENTIONS,
  listAt,
  newIntervention,
  type Path,
  POLICIES,
  put,
  SPAN,
  textAt,
  withArmName,
  withoutArm,
  withPolicy,
} from "./scenarioDocument"
import css from "./whatif.module.css"

interface Props {
  readonly index: number
  readonly document: Document
  readonly isOnly: boolean
  readonly onChange: (document: Document) => void
}

export function ArmCard({ index, document, isOnly, onChange }: Props) {
  const path = ["arms", index] as const
  const name = textAt(document, [...path, "name"])
  const first = textAt(document, ["arms", 0, "name"])
  const isReference = textAt(document, ["reference"], first) === name
  return (
    <Card
      className={css.open}
      title={textAt(document, [...path, "title"]) || name || say("whatif.editor.armN", { n: index + 1 })}
      aside={
        <>
          <Checkbox
            label={say("whatif.editor.isReference")}
            checked={isReference}
            disabled={isReference}
            onChange={() => onChange(put(document, ["reference"], name === first ? undefined : name))}
          />
          {isOnly ? null : (
            <Button
              variant="subtle"
              aria-label={say("whatif.editor.removeArmOf", { name })}
              onClick={() => onChange(withoutArm(document, index))}
            >
              {say("whatif.editor.removeArm")}
            </Button>
          )}
        </>
      }
      padded
    >
      <div className={css.fields}>
        <TextField
          document={document}
          path={[...path, "name"]}
          label={say("whatif.editor.armName")}
          isNeeded
          onChange={(changed) => onChange(withArmName(document, index, textAt(changed, [...path, "name"])))}
        />
        <div className={css.wide}>
          <TextField
            document={document}
            path={[...path, "title"]}
            label={say("whatif.editor.armTitle")}
            onChange={onChange}
          />
        </div>
        <Policy index={index} document={document} onChange={onChange} />
      </div>
      <Interventions index={index} document={document} onChange={onChange} />
    </Card>
  )
}

type PartProps = Omit<Props, "isOnly">

function Policy({ index, document, onChange }: PartProps) {
  const types = useQuery(typesQuery).data
  const path = ["arms", index, "policy"] as const
  const kind = textAt(document, [...path, "kind"], DEFAULTS.policy.kind)
  const number = (key: "every_h" | "p_fail" | "within_h", label: string) => (
    <NumberField
      document={document}
      path={[...path, key]}
      label={label}
      usual={DEFAULTS.policy[key]}
      isNeeded
      onChange={onChange}
    />
  )
  const acts = kind === "fixed_interval" || kind === "threshold" || kind === "prognosis"
  return (
    <>
      <ChoiceField
        document={document}
        path={[...path, "kind"]}
        label={say("whatif.editor.policy")}
        choices={POLICIES}
        usual={DEFAULTS.policy.kind}
        title={(choice) => say(`whatif.editor.policies.${choice}`)}
        onChoose={(choice) => onChange(withPolicy(document, index, choice))}
      />
      {kind === "fixed_interval" ? number("every_h", say("whatif.editor.every")) : null}
      {kind === "threshold" ? (
        <div className={css.wide}>
          <TextField
            document={document}
            path={[...path, "when"]}
            label={say("whatif.editor.condition")}
            placeholder={DEFAULTS.policy.when}
            isNeeded
            onChange={onChange}
          />
        </div>
      ) : null}
      {kind === "prognosis" ? (
        <>
          {number("p_fail", say("whatif.editor.probability"))}
          {number("within_h", say("whatif.editor.within"))}
        </>
      ) : null}
      {acts ? (
        <TextField
          document={document}
          path={[...path, "action"]}
          label={say("whatif.editor.action")}
          placeholder={say("whatif.editor.best")}
          offered={offeredOf("actions", types)}
          onChange={onChange}
        />
      ) : null}
    </>
  )
}

function Interventions({ index, document, onChange }: PartProps) {
  const types = useQuery(typesQuery).data
  const path = ["arms", index, "interventions"] as const
  const items = listAt(document, path)
  const add = (kind: string) => onChange(put(document, path, [...items, newIntervention(kind)]))
  return (
    <div className={css.interventions}>
      {items.map((item, i) => {
        const kind = Object.keys(item as Document)[0] ?? ""
        const title = kindTitle(kind)
        const remove = () => {
          const left = items.toSpliced(i, 1)
          onChange(put(document, path, left.length > 0 ? left : undefined))
        }
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: they have no names, only places
          <fieldset key={i} className={css.intervention}>
            <legend>{title}</legend>
            <div className={css.fields}>
              {[...(INTERVENTIONS[kind] ?? []), ...SPAN].map((field) => (
                <InterventionField
                  key={field.key}
                  field={field}
                  document={document}
                  path={[...path, i, kind, field.key]}
                  types={types}
                  onChange={(changed) => onChange(kept(changed, [...path, i], kind))}
                />
              ))}
            </div>
            <Button
              variant="subtle"
              aria-label={say("whatif.editor.removeInterventionOf", { what: title })}
              onClick={remove}
            >
              {say("whatif.editor.removeIntervention")}
            </Button>
          </fieldset>
        )
      })}
      <NativeSelect
        aria-label={say("whatif.editor.interventions")}
        value=""
        data={[
          { value: "", label: `${say("whatif.editor.interventions")}…` },
          ...Object.keys(INTERVENTIONS).map((kind) => ({ value: kind, label: kindTitle(kind) })),
        ]}
        onChange={({ target }) => target.value && add(target.value)}
      />
    </div>
  )
}

/** An intervention all of whose keys are gone still says what it is. */
function kept(document: Document, path: Path, kind: string): Document {
  const item = at(document, path)
  return at(item, [kind]) === undefined ? put(document, path, { [kind]: {} }) : document
}

interface InterventionFieldProps {
  readonly field: Field
  readonly document: Document
  readonly path: Path
  readonly types: readonly TypeInfo[] | undefined
  readonly onChange: (document: Document) => void
}

function InterventionField({ field, document, path, types, onChange }: InterventionFieldProps) {
  const label = sayOf("whatif.editor.fields", field.key, field.key)
  const place = { document, path, label, onChange }
  if (field.kind === "number")
    return <NumberField {...place} usual={USUAL[field.key]} isNeeded={field.start !== undefined} />
  if (field.kind === "sites") return <NamesField {...place} placeholder={say("whatif.editor.anything")} />
  if (field.kind === "choice")
    return (
      <ChoiceField
        {...place}
        choices={field.choices}
        usual={field.choices[0] ?? ""}
        title={(choice) => sayOf("whatif.editor.failures", choice, choice)}
        onChoose={(choice) => onChange(put(document, path, choice))}
      />
    )
  const isOptional = field.from === undefined
  return (
    <TextField
      {...place}
      isNeeded={!isOptional}
      placeholder={field.key === "devices" ? say("whatif.editor.anything") : ""}
      offered={field.from && offeredOf(field.from, types)}
    />
  )
}

const USUAL: Readonly<Record<string, number>> = {
  share: 1,
  from_h: 0,
  every_h: 0,
  speed: 1,
  size: 0,
  damage: 0,
}

function kindTitle(kind: string): string {
  return sayOf("whatif.editor.kinds", kind, kind)
}

/** What the types of the fleet know of a kind, each name once. */
function offeredOf(
  what: "modes" | "channels" | "types" | "actions",
  types: readonly TypeInfo[] = [],
): readonly string[] {
  const found = types.flatMap((type) => {
    if (what === "types") return [type.name]
    const named = { modes: type.failure_modes, channels: type.channels, actions: type.actions }[what]
    return named.map(({ name }) => name)
  })
  return [...new Set(found)].sort()
}
