/** What a version was made from: data, features and parameters, so that it can be made again. */
import type { ModelDetail } from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import facts from "@/components/facts.module.css"
import { say } from "@/words/say"
import css from "./models.module.css"

interface Props {
  readonly model: ModelDetail
  readonly title: string
}

export function Origin({ model, title }: Props) {
  const { parameters, features, failure_modes, data, sha256, trained_until, type_version } = model
  return (
    <Card className={css.whole} title={say("models.origin")}>
      <dl className={facts.facts}>
        <dt>{say("models.until")}</dt>
        <dd>
          <Age at={trained_until} />
        </dd>
        <dt>{say("models.type")}</dt>
        <dd>{say("models.typeVersion", { type: title, n: type_version })}</dd>
        <dt>{say("models.failureModes")}</dt>
        <dd>{failure_modes.join(", ")}</dd>
        <dt>{say("models.data")}</dt>
        <dd>{pairs(data)}</dd>
        <dt>{say("models.sha256")}</dt>
        <dd>{sha256}</dd>
      </dl>
      <details className={css.more}>
        <summary>{say("models.features", { n: features.length })}</summary>
        {features.join(", ")}
      </details>
      <details className={css.more}>
        <summary>{say("models.parameters", { n: Object.keys(parameters).length })}</summary>
        <dl className={facts.facts}>
          {Object.entries(parameters).map(([name, value]) => (
            <Fact key={name} name={name} value={value} />
          ))}
        </dl>
      </details>
    </Card>
  )
}

function Fact({ name, value }: { readonly name: string; readonly value: unknown }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
    </>
  )
}

function pairs(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ")
}
