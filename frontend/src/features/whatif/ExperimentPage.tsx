/** One experiment: how far it has come, what it has come to, how far to trust that, and what to take along. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router"
import { reaches } from "@/api/accounts"
import { useMe } from "@/api/session"
import {
  type ExperimentDetail,
  experimentQuery,
  isOpen,
  resultsQuery,
  useCancel,
  useRemove,
} from "@/api/whatif"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { Chip } from "@/components/Chip"
import { notify } from "@/components/notices"
import { Problem } from "@/components/Problem"
import page from "@/components/page.module.css"
import { SureButton } from "@/components/SureButton"
import { Failed, Skeleton } from "@/components/states"
import { useNow } from "@/components/useNow"
import { count, share } from "@/words/figures"
import { say } from "@/words/say"
import { exact, moment, now, parse, span } from "@/words/times"
import "./words"
import { CompareCard } from "./CompareCard"
import { ExportCards } from "./ExportCards"
import { FanCard } from "./FanCard"
import { RerunCard } from "./RerunCard"
import { ResultTable } from "./ResultTable"
import { deviceCount, leftMs } from "./resultText"
import { at, DEFAULTS, type Document } from "./scenarioDocument"
import css from "./whatif.module.css"

const route = getRouteApi("/whatif/$id")
const HOUR_MS = 3600_000

export function ExperimentPage() {
  const { id } = route.useParams()
  const { data, error, refetch } = useQuery(experimentQuery(id))
  if (data) return <Shown key={id} experiment={data} />
  return error ? <Failed error={error} retry={refetch} /> : <Skeleton rows={10} />
}

function Shown({ experiment }: { readonly experiment: ExperimentDetail }) {
  const { id, state, replications_done } = experiment
  const isEngineer = reaches(useMe()?.role, "engineer")
  const open = isOpen(experiment)
  const { data: results, error } = useQuery({
    ...resultsQuery(id, state, open),
    enabled: replications_done > 0,
  })
  return (
    <>
      <Heading experiment={experiment} isEngineer={isEngineer} />
      {state === "done" ? null : <Progress experiment={experiment} isEngineer={isEngineer} />}
      {results ? (
        <ResultTable results={results} />
      ) : (
        <Card className={css.whole} title={say("whatif.results")} padded>
          {error ? (
            <Failed error={error} />
          ) : replications_done > 0 ? (
            <Skeleton rows={4} />
          ) : (
            <p className={css.muted}>{say(open ? "whatif.noResults" : "whatif.nothing")}</p>
          )}
        </Card>
      )}
      {results || open ? <Trust experiment={experiment} level={results?.level} /> : null}
      {results ? <FanCard experiment={experiment} isRunning={open} /> : null}
      {results ? <CompareCard experiment={experiment} results={results} /> : null}
      {isEngineer && !open && replications_done > 0 ? <RerunCard experiment={experiment} /> : null}
      <ExportCards experiment={experiment} hasResults={results !== undefined} />
    </>
  )
}

interface Props {
  readonly experiment: ExperimentDetail
  readonly isEngineer: boolean
}

function Heading({ experiment, isEngineer }: Props) {
  const { id, name, title, forked_at, devices, horizon_h, scenario, by, created_at } = experiment
  const navigate = useNavigate()
  const remove = useRemove(id)
  const n = deviceCount(devices)
  const document = scenario as Document
  const forked = parse(forked_at)
  const number = (key: "step_s" | "seed") => Number(at(document, [key]) ?? DEFAULTS[key])
  return (
    <header className={page.header}>
      <Link to="/whatif" className={css.link}>
        {say("whatif.title")}
      </Link>
      <h1 className={page.title}>{title || name}</h1>
      <div className={css.facts}>
        {forked === null ? null : (
          <Chip title={exact(forked)}>{say("whatif.forked", { at: moment(forked) })}</Chip>
        )}
        {n === 0 ? null : (
          <Chip title={typesText(devices)}>{say("whatif.devicesN", { n, shown: count(n) })}</Chip>
        )}
        <Chip>
          {say("whatif.course", { horizon: span(horizon_h * HOUR_MS), step: span(number("step_s") * 1000) })}
        </Chip>
        <Chip>{say("whatif.seed", { seed: String(number("seed")) })}</Chip>
        <span className={css.muted}>
          {by}, <Age at={created_at} />
        </span>
      </div>
      {isEngineer ? (
        <div className={css.acts}>
          {isOpen(experiment) ? null : (
            <SureButton
              label={say("whatif.remove")}
              disabled={remove.isPending}
              onSure={() =>
                remove.mutate(undefined, {
                  onSuccess: () => {
                    notify({ text: say("whatif.removed", { name: title || name }) })
                    navigate({ to: "/whatif" })
                  },
                  onError: ({ message }) => notify({ text: message, failed: true }),
                })
              }
            >
              {say("whatif.remove")}
            </SureButton>
          )}
          <Button variant="filled" onClick={() => navigate({ to: "/whatif/new", search: { from: id } })}>
            {say("whatif.change")}
          </Button>
        </div>
      ) : null}
    </header>
  )
}

function typesText(devices: Readonly<Record<string, number>>): string {
  return Object.entries(devices)
    .map(([type, n]) => `${type}: ${count(n)}`)
    .join(", ")
}

/** How far it has come, or why it has not come to its end. */
function Progress({ experiment, isEngineer }: Props) {
  const { id, state, progress, message, scenario, started_at } = experiment
  const { replications_done, replications_wanted } = experiment
  const cancel = useCancel(id)
  const isStopping = at(scenario as Document, ["stopping"]) != null
  useNow()
  const left = leftMs(progress, parse(started_at), now())
  const open = isOpen(experiment)
  return (
    <section
      className={css.run}
      data-failed={state === "failed" || undefined}
      aria-label={say("whatif.progress")}
    >
      <div className={css.runLine} role={state === "failed" ? "alert" : "status"}>
        <strong>{say(`whatif.states.${state}`)}</strong>
        <span className={css.muted}>
          {[
            open && state === "queued"
              ? ""
              : say(isStopping ? "whatif.doneOfAtMost" : "whatif.doneOf", {
                  done: count(replications_done),
                  wanted: count(replications_wanted),
                }),
            message,
            open && left !== null ? say("whatif.left", { time: span(left) }) : "",
          ]
            .filter(Boolean)
            .join(" · ")}
        </span>
        {open && isEngineer ? (
          <Button className={css.end} disabled={cancel.isPending} onClick={() => cancel.mutate()}>
            {say("whatif.stop")}
          </Button>
        ) : null}
      </div>
      <Problem error={cancel.error} />
      {open ? (
        <progress
          className={css.long}
          value={progress ?? undefined}
          aria-label={`${say("whatif.progress")}${progress === null ? "" : ` ${share(progress)}`}`}
        />
      ) : null}
    </section>
  )
}

function Trust({
  experiment: { trust, forked_at },
  level,
}: {
  readonly experiment: ExperimentDetail
  readonly level: number | undefined
}) {
  const forked = parse(forked_at)
  return (
    <Card className={css.whole} title={say("whatif.trust")} padded>
      <p>{trust || say("whatif.noTrust")}</p>
      {level !== undefined && forked !== null ? (
        <p className={css.muted}>{say("whatif.basis", { at: exact(forked), level: share(level) })}</p>
      ) : null}
    </Card>
  )
}
