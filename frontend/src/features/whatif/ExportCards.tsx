/** What there is to take along: every table as a file, how to cite it, the scenario, and what it was made from. */
import { Button } from "@mantine/core"
import { type ExperimentDetail, type ResultTable, type TableFormat, tableAddress } from "@/api/whatif"
import { Card } from "@/components/Card"
import { notify } from "@/components/notices"
import { say } from "@/words/say"
import { at, type Document, listAt } from "./scenarioDocument"
import css from "./whatif.module.css"

const FORMATS: readonly { readonly format: TableFormat; readonly title: string }[] = [
  { format: "parquet", title: "Parquet" },
  { format: "csv", title: "CSV" },
  { format: "json", title: "JSON" },
]
const ALWAYS: readonly ResultTable[] = ["metrics", "buckets", "runs"]
const KEPT: readonly ResultTable[] = ["work", "events", "devices"]

interface Props {
  readonly experiment: ExperimentDetail
  readonly hasResults: boolean
}

export function ExportCards({ experiment, hasResults }: Props) {
  const { id, citation, scenario, scenario_text, manifest } = experiment
  const kept =
    at(scenario as Document, ["keep"]) === undefined ? ["work"] : listAt(scenario as Document, ["keep"])
  const tables = [...ALWAYS, ...KEPT.filter((each) => kept.includes(each))]
  return (
    <>
      <div className={css.pair}>
        {hasResults ? (
          <Card title={say("whatif.export")} hint={say("whatif.exportHelp")}>
            <ul>
              {tables.map((table) => (
                <li key={table} className={css.file}>
                  <span>{say(`whatif.tables.${table}`)}</span>
                  <span className={css.formats}>
                    {FORMATS.map(({ format, title }) => (
                      <a
                        key={format}
                        className={css.link}
                        href={tableAddress(id, table, format)}
                        download
                        aria-label={say("whatif.fileOf", {
                          table: say(`whatif.tables.${table}`),
                          format: title,
                        })}
                      >
                        {title}
                      </a>
                    ))}
                  </span>
                </li>
              ))}
            </ul>
          </Card>
        ) : null}
        {citation ? (
          <Card title={say("whatif.citation")} aside={<CopyButton text={citation} />} padded>
            <p className={css.citation}>{citation}</p>
          </Card>
        ) : null}
      </div>
      <Text title={say("whatif.scenario")} help={say("whatif.scenarioHelp")} text={scenario_text} />
      <Text
        title={say("whatif.manifest")}
        help={say("whatif.manifestHelp")}
        text={JSON.stringify(manifest, null, 2)}
      />
    </>
  )
}

function CopyButton({ text }: { readonly text: string }) {
  return (
    <Button
      onClick={() => navigator.clipboard?.writeText(text).then(() => notify({ text: say("whatif.copied") }))}
    >
      {say("app.copy")}
    </Button>
  )
}

function Text({
  title,
  help,
  text,
}: {
  readonly title: string
  readonly help: string
  readonly text: string
}) {
  return (
    <details className={css.folded}>
      <summary>
        <strong>{title}</strong> <span className={css.muted}>{help}</span>
      </summary>
      <div className={css.raw}>
        <CopyButton text={text} />
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scroll area must be reachable by keys */}
        <pre tabIndex={0}>{text}</pre>
      </div>
    </details>
  )
}
