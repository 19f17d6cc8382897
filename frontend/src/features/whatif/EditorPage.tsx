/** An experiment being set up: a form and the same as text, what is wrong with it, and what it would cost. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router"
import { useState } from "react"
import type { ScenarioSearch } from "@/addresses"
import { reaches } from "@/api/accounts"
import { useMe } from "@/api/session"
import { experimentQuery, scenarioCheckQuery, templatesQuery, useBegin } from "@/api/whatif"
import { Card } from "@/components/Card"
import { Problem } from "@/components/Problem"
import page from "@/components/page.module.css"
import { Empty, Failed, Skeleton } from "@/components/states"
import { Tabs } from "@/components/Tabs"
import tabs from "@/components/tabs.module.css"
import { say } from "@/words/say"
import "./words"
import { estimateText } from "./resultText"
import { ScenarioForm } from "./ScenarioForm"
import { ScenarioText, type Target } from "./ScenarioText"
import { BLANK, type Document, toYaml, withDevices } from "./scenarioDocument"
import { type Draft, useDraft } from "./useDraft"
import css from "./whatif.module.css"

const route = getRouteApi("/whatif/new")

export function EditorPage() {
  const { template, from, devices } = route.useSearch()
  const begin = useBeginning({ template, from, devices })
  const mayAsk = reaches(useMe()?.role, "engineer")
  if (!mayAsk)
    return (
      <Empty
        wholePage
        title={say("whatif.noneViewer")}
        action={<Link to="/whatif">{say("whatif.title")}</Link>}
      />
    )
  if (begin.error) return <Failed error={begin.error} />
  if (!begin.begun) return <Skeleton rows={10} />
  return <Editor key={JSON.stringify([template, from, devices])} begun={begin.begun} />
}

/** The text that is begun with: a template's, an earlier experiment's, or a small one; for the devices asked for. */
function useBeginning({ template, from, devices }: ScenarioSearch) {
  const templates = useQuery({ ...templatesQuery, enabled: template !== undefined })
  const earlier = useQuery({ ...experimentQuery(from ?? ""), enabled: from !== undefined })
  const found = templates.data?.items.find(({ name }) => name === template)
  const text =
    from !== undefined ? earlier.data?.scenario_text : template !== undefined ? found?.text : toYaml(BLANK)
  const mustRead = text !== undefined && devices !== undefined && (from ?? template) !== undefined
  const read = useQuery({ ...scenarioCheckQuery(text ?? ""), enabled: mustRead })
  const isMissing = from === undefined && template !== undefined && templates.data && !found
  const error = isMissing
    ? new Error(say("whatif.editor.noTemplate", { name: template }))
    : (templates.error ?? earlier.error ?? (mustRead ? read.error : null))
  const isKnown = text !== undefined && (!mustRead || (read.data !== undefined && !read.isPlaceholderData))
  if (!isKnown) return { error, begun: null }
  const document =
    from === undefined && !template ? BLANK : ((read.data?.scenario ?? null) as Document | null)
  if (devices === undefined || document === null)
    return { error, begun: { text, document: devices === undefined && document === BLANK ? BLANK : null } }
  const narrowed = withDevices(document, devices)
  return { error, begun: { text: toYaml(narrowed), document: narrowed } }
}

interface EditorProps {
  readonly begun: { readonly text: string; readonly document: Document | null }
}

function Editor({ begun }: EditorProps) {
  const draft = useDraft(begun)
  const search = route.useSearch()
  const { tab } = search
  const navigate = useNavigate({ from: "/whatif/new" })
  const [target, setTarget] = useState<Target | null>(null)
  const goTo = (line: number) => {
    setTarget({ line })
    if (tab !== "text") navigate({ search: { ...search, tab: "text" }, replace: true })
  }
  return (
    <>
      <header className={page.header}>
        <Link to="/whatif" className={css.link}>
          {say("whatif.title")}
        </Link>
        <h1 className={page.title}>{say("whatif.editor.title")}</h1>
      </header>
      <Tabs label={say("whatif.editor.parts")}>
        {([undefined, "text"] as const).map((each) => (
          <Link
            key={each ?? "form"}
            to="/whatif/new"
            search={{ ...search, tab: each }}
            replace
            className={tabs.tab}
            activeOptions={{ exact: true }}
            aria-current={tab === each ? "page" : undefined}
          >
            {say(each ? "whatif.editor.text" : "whatif.editor.form")}
          </Link>
        ))}
      </Tabs>
      <div className={css.editor}>
        <div className={css.main}>
          {tab === "text" ? (
            <ScenarioText
              target={target}
              text={draft.text}
              problems={draft.isSettled ? (draft.check?.problems ?? []) : []}
              onChange={draft.write}
            />
          ) : draft.document ? (
            <>
              {/^[^"']*#/m.test(draft.text) ? (
                <p className={css.note}>{say("whatif.editor.comments")}</p>
              ) : null}
              <ScenarioForm document={draft.document} onChange={draft.fill} />
            </>
          ) : (
            <Card title={say("whatif.editor.form")} padded>
              <p className={css.muted}>
                {say(draft.isSettled ? "whatif.editor.unreadable" : "whatif.editor.waiting")}
              </p>
            </Card>
          )}
        </div>
        <Before draft={draft} goTo={goTo} />
      </div>
    </>
  )
}

/** What is to be mended, what it would cost, and the start. */
function Before({ draft, goTo }: { readonly draft: Draft; readonly goTo: (line: number) => void }) {
  const { check, isSettled, error, text } = draft
  const begin = useBegin()
  const navigate = useNavigate()
  const problems = check?.problems ?? []
  const start = () =>
    begin.mutate(text, { onSuccess: ({ id }) => navigate({ to: "/whatif/$id", params: { id } }) })
  return (
    <Card className={css.before} title={say("whatif.editor.check")} padded>
      <div className={css.stack} aria-live="polite" data-old={!isSettled || undefined}>
        {error ? <Problem error={error} /> : null}
        {problems.length > 0 ? (
          <>
            <p className={css.abnormal}>{say("whatif.editor.problems", { n: problems.length })}</p>
            <ul className={css.problems}>
              {problems.map(({ line, problem, remedy }) => (
                <li key={`${line} ${problem}`}>
                  <button
                    type="button"
                    className={css.problem}
                    aria-label={say("whatif.editor.lineGo", { n: line, problem })}
                    onClick={() => goTo(line)}
                  >
                    {say("whatif.editor.line", { n: line })}
                  </button>{" "}
                  {problem} <span className={css.muted}>{remedy}</span>
                </li>
              ))}
            </ul>
          </>
        ) : check ? (
          <p>{say("whatif.editor.ready")}</p>
        ) : error ? null : (
          <Skeleton rows={2} />
        )}
        {check?.estimate ? <p className={css.estimate}>{estimateText(check.estimate)}</p> : null}
      </div>
      <Problem error={begin.error} />
      <div className={css.formActs}>
        <Button onClick={() => navigate({ to: "/whatif" })}>{say("app.cancel")}</Button>
        <Button
          variant="filled"
          disabled={!isSettled || !check?.scenario || problems.length > 0}
          loading={begin.isPending}
          onClick={start}
        >
          {say("whatif.editor.begin")}
        </Button>
      </div>
    </Card>
  )
}
