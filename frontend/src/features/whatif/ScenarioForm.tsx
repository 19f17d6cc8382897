/** A scenario as a form: what is forked, how far it runs, how sure one wants to be, what is measured, and the arms. */
import { Button, Checkbox } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { useMemo, useRef } from "react"
import { summaryQuery, typesQuery } from "@/api/queries"
import { Card } from "@/components/Card"
import { Chip } from "@/components/Chip"
import { FilterLine } from "@/components/filterline/FilterLine"
import { termsOf } from "@/components/filterline/terms"
import { say } from "@/words/say"
import { ArmCard } from "./ArmCard"
import { ChoiceField, inDays, NumberField, TextField } from "./fields"
import { metricTitle } from "./resultText"
import {
  at,
  DEFAULTS,
  type Document,
  GROUPS,
  listAt,
  METRICS,
  put,
  STARTS,
  textAt,
  type Value,
  withArm,
  withDevices,
} from "./scenarioDocument"
import css from "./whatif.module.css"

interface Props {
  readonly document: Document
  readonly onChange: (document: Document) => void
}

export function ScenarioForm({ document, onChange }: Props) {
  const arms = listAt(document, ["arms"])
  return (
    <>
      <Question document={document} onChange={onChange} />
      {arms.map((_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: an arm is its place; its name is being typed
        <ArmCard key={i} index={i} document={document} onChange={onChange} isOnly={arms.length === 1} />
      ))}
      <div>
        <Button onClick={() => onChange(withArm(document))}>{say("whatif.editor.addArm")}</Button>
      </div>
      <Course document={document} onChange={onChange} />
      <Sureness document={document} onChange={onChange} />
      <Metrics document={document} onChange={onChange} />
      <p className={css.note}>{say("whatif.editor.more")}</p>
    </>
  )
}

function Question({ document, onChange }: Props) {
  const start = textAt(document, ["base", "start"], "live")
  return (
    <Card className={css.open} title={say("whatif.editor.question")} padded>
      <div className={css.fields}>
        <TextField
          document={document}
          path={["name"]}
          label={`${say("whatif.editor.name")} (${say("whatif.editor.nameHelp")})`}
          isNeeded
          onChange={onChange}
        />
        <div className={css.wide}>
          <TextField
            document={document}
            path={["title"]}
            label={say("whatif.editor.asked")}
            onChange={onChange}
          />
        </div>
        <ChoiceField
          document={document}
          path={["base", "start"]}
          label={say("whatif.editor.start")}
          choices={STARTS}
          usual="live"
          title={(choice) => say(`whatif.editor.starts.${choice}`)}
          onChoose={(choice) => onChange(put(document, ["base", "start"], choice))}
        />
        {start === "past" ? (
          <TextField
            document={document}
            path={["base", "at"]}
            label={say("whatif.editor.at")}
            placeholder="2026-01-31T12:00:00Z"
            onChange={onChange}
          />
        ) : null}
        {start === "fleet" ? (
          <TextField
            document={document}
            path={["base", "fleet"]}
            label={say("whatif.editor.fleet")}
            onChange={onChange}
          />
        ) : null}
        <Devices document={document} onChange={onChange} />
      </div>
    </Card>
  )
}

/** The line that filters devices everywhere, as a field. */
function Devices({ document, onChange }: Props) {
  const input = useRef<HTMLInputElement>(null)
  const sites = useQuery(summaryQuery).data?.sites
  const types = useQuery(typesQuery).data
  const terms = useMemo(
    () =>
      termsOf(
        (sites ?? []).map(({ site }) => site),
        types ?? [],
      ),
    [sites, types],
  )
  const label = say("whatif.editor.devices")
  const narrow = (line: string) => onChange(withDevices(document, line))
  return (
    <div className={css.wide}>
      <span className={css.label} aria-hidden>
        {label} <span className={css.muted}>{say("whatif.editor.devicesHelp")}</span>
      </span>
      <div className={css.line}>
        <FilterLine
          inputRef={input}
          label={label}
          value={textAt(document, ["base", "devices"])}
          terms={terms}
          found={[]}
          onType={() => {}}
          onChoose={() => {}}
          onLine={narrow}
          onSubmit={narrow}
        />
      </div>
    </div>
  )
}

function Course({ document, onChange }: Props) {
  const number = (key: "horizon_h" | "step_s" | "bucket_h", label: string) => (
    <NumberField
      document={document}
      path={[key]}
      label={label}
      usual={DEFAULTS[key]}
      description={key === "horizon_h" ? inDays(document.horizon_h ?? DEFAULTS.horizon_h) : undefined}
      onChange={onChange}
    />
  )
  return (
    <Card title={say("whatif.editor.course")} padded className={css.open}>
      <div className={css.fields}>
        {number("horizon_h", say("whatif.editor.horizon"))}
        {number("step_s", say("whatif.editor.step"))}
        {number("bucket_h", say("whatif.editor.bucket"))}
        <ChoiceField
          document={document}
          path={["group_by"]}
          label={say("whatif.editor.group")}
          choices={GROUPS}
          usual="none"
          title={(choice) => say(`whatif.editor.groups.${choice}`)}
          onChoose={(choice) => onChange(put(document, ["group_by"], choice === "none" ? undefined : choice))}
        />
      </div>
    </Card>
  )
}

function Sureness({ document, onChange }: Props) {
  const stopping = at(document, ["stopping"])
  const isStopping = stopping !== undefined && stopping !== null
  const kind = isStopping ? "stopping" : "fixed"
  const metrics = measured(document)
  const begin = (choice: "fixed" | "stopping") =>
    onChange(
      choice === "fixed"
        ? put(document, ["stopping"], undefined)
        : put(document, ["stopping"], { metric: metrics[0] ?? DEFAULTS.stopping.metric, half_width: 0.05 }),
    )
  const number = (key: "half_width" | "at_least" | "at_most", label: string) => (
    <NumberField
      document={document}
      path={["stopping", key]}
      label={label}
      usual={DEFAULTS.stopping[key]}
      isNeeded={key === "half_width"}
      onChange={onChange}
    />
  )
  return (
    <Card title={say("whatif.editor.sureness")} padded className={css.open}>
      <div className={css.fields}>
        <ChoiceField
          document={{ kind }}
          path={["kind"]}
          label={say("whatif.editor.count")}
          choices={["fixed", "stopping"] as const}
          usual="fixed"
          title={(choice) => say(`whatif.editor.counts.${choice}`)}
          onChoose={begin}
        />
        {isStopping ? (
          <>
            <ChoiceField
              document={document}
              path={["stopping", "metric"]}
              label={say("whatif.editor.metric")}
              choices={metrics}
              usual={DEFAULTS.stopping.metric}
              title={metricTitle}
              onChoose={(choice) => onChange(put(document, ["stopping", "metric"], choice))}
            />
            {number("half_width", say("whatif.editor.half"))}
            {number("at_least", say("whatif.editor.atLeast"))}
            {number("at_most", say("whatif.editor.atMost"))}
            <Checkbox
              className={css.check}
              label={say("whatif.editor.relative")}
              checked={at(document, ["stopping", "relative"]) !== false}
              onChange={({ target }) =>
                onChange(put(document, ["stopping", "relative"], target.checked ? undefined : false))
              }
            />
          </>
        ) : (
          <NumberField
            document={document}
            path={["replications"]}
            label={say("whatif.editor.number")}
            usual={DEFAULTS.replications}
            onChange={onChange}
          />
        )}
        <NumberField
          document={document}
          path={["level"]}
          label={say("whatif.editor.level")}
          usual={DEFAULTS.level}
          onChange={onChange}
        />
        <NumberField
          document={document}
          path={["seed"]}
          label={say("whatif.editor.seed")}
          usual={DEFAULTS.seed}
          onChange={onChange}
        />
      </div>
    </Card>
  )
}

function Metrics({ document, onChange }: Props) {
  const chosen = new Set(measured(document))
  const toggle = (metric: string) => {
    const next = new Set(chosen)
    if (!next.delete(metric)) next.add(metric)
    const own = METRICS.filter((each) => next.has(each))
    if (own.length > 0) onChange(put(document, ["metrics"], own))
  }
  return (
    <Card title={say("whatif.editor.metrics")} padded className={css.open}>
      <fieldset className={css.chips}>
        <legend className="visually-hidden">{say("whatif.editor.metrics")}</legend>
        {METRICS.map((metric) => (
          <Chip key={metric} pressed={chosen.has(metric)} onClick={() => toggle(metric)}>
            {metricTitle(metric)}
          </Chip>
        ))}
      </fieldset>
    </Card>
  )
}

function measured(document: Document): readonly string[] {
  const metrics: readonly Value[] = (at(document, ["metrics"]) as readonly Value[]) ?? DEFAULTS.metrics
  return metrics.filter((each) => typeof each === "string")
}
