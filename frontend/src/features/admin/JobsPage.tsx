/** What runs for long: how far it is, what it came to, and ending it. */
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { isOpen, jobsQuery, useCancelJob } from "@/api/platform"
import type { JobItem } from "@/api/schema"
import { Age } from "@/components/Age"
import type { PlainColumn } from "@/components/PlainTable"
import { Problem } from "@/components/Problem"
import { SureButton } from "@/components/SureButton"
import { TableCard } from "@/components/TableCard"
import { share } from "@/words/figures"
import { say, sayOf } from "@/words/say"
import { parse, span } from "@/words/times"
import css from "./admin.module.css"

export function JobsPage() {
  const { data, error, refetch } = useQuery(jobsQuery)
  const cancel = useCancelJob()
  const columns: PlainColumn<JobItem>[] = [
    {
      id: "kind",
      title: say("jobs.kind"),
      wraps: true,
      cell: Kind,
    },
    { id: "state", title: say("jobs.state"), cell: State },
    { id: "progress", title: say("jobs.progress"), cell: Progress },
    { id: "message", title: say("jobs.message"), wraps: true, cell: Message },
    { id: "by", title: say("jobs.by"), cell: ({ by }) => by },
    { id: "begun", title: say("jobs.begun"), cell: ({ created }) => <Age at={created} /> },
    { id: "took", title: say("jobs.took"), align: "right", cell: tookText },
    {
      id: "acts",
      title: "",
      cell: (job) =>
        isOpen(job) && !job.cancelling ? (
          <SureButton
            label={say("jobs.cancelOf", { kind: sayOf("jobs.kinds", job.kind, job.kind) })}
            onSure={() => cancel.mutate(job.id)}
          >
            {say("jobs.cancel")}
          </SureButton>
        ) : null,
    },
  ]
  return (
    <TableCard
      title={say("jobs.title")}
      hint={say("jobs.help")}
      columns={columns}
      rows={data?.items}
      rowId={({ id }) => id}
      empty={say("jobs.none")}
      error={error}
      retry={refetch}
    >
      <Problem error={cancel.error} />
    </TableCard>
  )
}

function Kind({ id, kind, request }: JobItem) {
  const text = sayOf("jobs.kinds", kind, kind)
  if (kind === "promotion") return <Report id={id} request={request} text={text} />
  const about = request.after as { readonly name: string } | undefined
  if (kind !== "rehearsal" || !about) return <span title={`${id} ${JSON.stringify(request)}`}>{text}</span>
  return (
    <Link
      to="/alerts/rules/$type"
      params={{ type: about.name }}
      search={{ rehearsal: id }}
      className={css.link}
    >
      {text}, {about.name}
    </Link>
  )
}

/** A report on a version, which its page shows. */
function Report({ id, request, text }: Pick<JobItem, "id" | "request"> & { readonly text: string }) {
  const [type, version] = [String(request.type), String(request.candidate)]
  return (
    <Link to="/models/$type/$version" params={{ type, version }} search={{ report: id }} className={css.link}>
      {text}, {type} {version}
    </Link>
  )
}

function State({ state, cancelling }: JobItem) {
  const text = say(cancelling && state === "running" ? "jobs.states.ending" : `jobs.states.${state}`)
  return state === "failed" ? <span className={css.abnormal}>{text}</span> : text
}

function Progress({ progress, state }: JobItem) {
  if (progress === null) return state === "running" ? say("jobs.unmeasured") : ""
  return (
    <>
      <span className={css.bar} aria-hidden>
        <span style={{ width: `${progress * 100}%` }} />
      </span>
      {share(progress)}
    </>
  )
}

function Message({ message, code }: JobItem) {
  if (!message && !code) return null
  return (
    <>
      {message} {code ? <span className={css.detail}>{say("problems.code", { code })}</span> : null}
    </>
  )
}

function tookText({ started, ended }: JobItem): string {
  const [from, to] = [parse(started), parse(ended)]
  return from === null || to === null ? "" : span(to - from)
}
