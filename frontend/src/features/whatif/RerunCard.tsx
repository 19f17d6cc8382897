/** One replication of an arm lived through again, with what some of its devices go through. */
import { Button, NativeSelect, TextInput } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { type FormEvent, useMemo, useState } from "react"
import { fewDevicesQuery, typesQuery } from "@/api/queries"
import { type DeviceTrace, type ExperimentDetail, type Rerun, useRerun } from "@/api/whatif"
import { Card } from "@/components/Card"
import { Chip } from "@/components/Chip"
import { names } from "@/components/names"
import { Problem } from "@/components/Problem"
import { useTokens } from "@/components/useTokens"
import { quantity, unitText } from "@/words/figures"
import { say, sayOf } from "@/words/say"
import { CoursePlot } from "./CoursePlot"
import { type Drawing, endsOf, hoursText } from "./courses"
import { type Document, textAt } from "./scenarioDocument"
import css from "./whatif.module.css"

const MOST = 5
const HEIGHT = 120

export function RerunCard({ experiment }: { readonly experiment: ExperimentDetail }) {
  const { id, arms, replications_done, scenario } = experiment
  const [arm, setArm] = useState(arms[0] ?? "")
  const [number, setNumber] = useState("0")
  const [typed, setTyped] = useState("")
  const rerun = useRerun(id)
  const filter = textAt(scenario as Document, ["base", "devices"])
  const isSimulated = textAt(scenario as Document, ["base", "start"]) === "fleet"
  const { data: worst } = useQuery({
    ...fewDevicesQuery({ filter, sort: "health" }, MOST),
    enabled: !isSimulated,
  })
  const devices = names(typed)
  const replication = Number(number)
  const isReady =
    devices.length > 0 && devices.length <= MOST && number !== "" && replication < replications_done
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (isReady) rerun.mutate({ arm, replication, device_ids: devices })
  }
  const toggle = (device: string) => {
    const left = devices.filter((each) => each !== device)
    setTyped((left.length < devices.length ? left : [...devices, device]).join(", "))
  }
  return (
    <Card className={css.whole} title={say("whatif.rerun")} hint={say("whatif.rerunHelp")}>
      <form className={css.rerun} onSubmit={submit}>
        <NativeSelect
          label={say("whatif.rerunArm")}
          value={arm}
          data={[...arms]}
          onChange={({ target }) => setArm(target.value)}
        />
        <TextInput
          label={say("whatif.rerunNumber")}
          type="number"
          min={0}
          max={replications_done - 1}
          value={number}
          onChange={({ target }) => setNumber(target.value)}
        />
        <TextInput
          className={css.grow}
          label={say("whatif.rerunDevices")}
          value={typed}
          autoComplete="off"
          onChange={({ target }) => setTyped(target.value)}
        />
        <Button type="submit" disabled={!isReady} loading={rerun.isPending}>
          {say("whatif.rerunDo")}
        </Button>
      </form>
      {worst && worst.items.length > 0 ? (
        <div className={css.offered}>
          <span className={css.muted}>{say("whatif.rerunWorst")}</span>
          {worst.items.map(({ id: device }) => (
            <Chip key={device} pressed={devices.includes(device)} onClick={() => toggle(device)}>
              {device}
            </Chip>
          ))}
        </div>
      ) : null}
      <Problem error={rerun.error} />
      {rerun.data ? <Traces found={rerun.data} /> : null}
    </Card>
  )
}

function Traces({ found: { arm, replication, traces } }: { readonly found: Rerun }) {
  if (traces.length === 0) return <p className={css.none}>{say("whatif.rerunNothing")}</p>
  return traces.map((trace) => (
    <section key={trace.device_id} className={css.traces} aria-label={trace.device_id}>
      <h3 className={css.traced}>
        {say("whatif.tracesOf", { device: trace.device_id, arm, n: replication })}
      </h3>
      <div className={css.multiples}>
        {Object.keys(trace.quantities).map((name) => (
          <Trace key={name} name={name} trace={trace} />
        ))}
      </div>
    </section>
  ))
}

function Trace({ name, trace }: { readonly name: string; readonly trace: DeviceTrace }) {
  const { device_id, at_h, quantities } = trace
  const tokens = useTokens()
  const types = useQuery(typesQuery).data
  const values = quantities[name] ?? []
  const drawing = useMemo<Drawing>(
    () => ({ bands: [], lines: [{ values, colour: tokens.ink, width: 1.2 }] }),
    [values, tokens],
  )
  const ends = useMemo(() => endsOf([values]), [values])
  const channel = types?.flatMap(({ channels }) => channels).find((each) => each.name === name)
  const mode = name.startsWith("wear.") ? name.slice("wear.".length) : null
  const title = mode
    ? say("whatif.wear", { mode })
    : (channel?.title ?? sayOf("whatif.quantities", name, name))
  const unit = channel
    ? unitText(channel.unit)
    : name === "health"
      ? say("whatif.ofHundred")
      : say("whatif.ofOne")
  return (
    <CoursePlot
      title={title}
      unit={unit}
      label={say("whatif.traceLabel", { quantity: title, device: device_id, n: at_h.length })}
      at={at_h}
      drawing={drawing}
      ends={ends}
      group={`trace ${device_id}`}
      height={HEIGHT}
      text={(value) => quantity(value, "", 3)}
      readOut={(index) =>
        values[index] == null
          ? ""
          : `${quantity(values[index], channel?.unit)} · ${hoursText(at_h[index] ?? 0)}`
      }
    />
  )
}
