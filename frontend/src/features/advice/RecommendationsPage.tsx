/** What to do about the fleet: for each device that needs it why, by when, what it is worth, and what was decided. */
import { NativeSelect } from "@mantine/core"
import { getRouteApi, useNavigate } from "@tanstack/react-router"
import { type ReactNode, useMemo, useState } from "react"
import { ADVICE_ORDERS, type AdviceSearch, CONFIDENCES, DECISIONS } from "@/addresses"
import type { Recommendation } from "@/api/schema"
import { Chip } from "@/components/Chip"
import { DataTable } from "@/components/DataTable"
import page from "@/components/page.module.css"
import { Empty, Failed, Skeleton } from "@/components/states"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { adviceColumns } from "./columns"
import { Evidence } from "./Evidence"
import css from "./RecommendationsPage.module.css"
import { useRecommendations } from "./useRecommendations"

const route = getRouteApi("/recommendations")
const HORIZON_DAYS = 30

export function RecommendationsPage() {
  const search = route.useSearch()
  const navigate = useNavigate({ from: "/recommendations" })
  const go = (next: Partial<AdviceSearch>) =>
    navigate({ search: (before) => ({ ...before, ...next }), replace: true })
  const list = useRecommendations(search)
  const [current, setCurrent] = useState<string | null>(search.shown ?? null)
  const columns = useMemo(adviceColumns, [])
  const { decision, confidence, shown, sort = "urgency" } = search

  let body: ReactNode
  if (list.error) body = <Failed error={list.error} retry={list.retry} />
  else if (list.isPending) body = <Skeleton rows={12} />
  else
    body = (
      <DataTable
        label={say("advice.table")}
        columns={columns}
        rows={list.items}
        rowId={idOf}
        total={list.total}
        onNearEnd={list.fetchMore}
        current={current}
        onCurrent={({ id }) => setCurrent(id)}
        onOpen={({ id }) => go({ shown: shown === id ? undefined : id })}
        isStrong={isUrgent}
        detail={(item) =>
          item.id === shown ? (
            <Evidence item={item} type={list.types?.find(({ name }) => name === item.type)} />
          ) : null
        }
        empty={<Empty title={say(`advice.none.${decision ?? "waiting"}`)}>{say("advice.noneHelp")}</Empty>}
      />
    )
  return (
    <>
      <header className={page.header}>
        <h1 className={page.title}>{say("pages.recommendations")}</h1>
        <span className={css.help}>{say("advice.pageHelp", { n: HORIZON_DAYS })}</span>
      </header>
      <div className={page.header}>
        <nav className={`${page.chips} ${css.chips}`} aria-label={say("advice.decision")}>
          <Chip pressed={decision === undefined} onClick={() => go({ decision: undefined })}>
            {say("advice.waiting")} {decision === undefined && !list.isPending ? count(list.total) : ""}
          </Chip>
          {DECISIONS.map((each) => (
            <Chip key={each} pressed={decision === each} onClick={() => go({ decision: each })}>
              {say(`advice.decisions.${each}`)} {decision === each ? count(list.total) : ""}
            </Chip>
          ))}
        </nav>
        <nav className={`${page.chips} ${css.chips}`} aria-label={say("advice.confidenceTitle")}>
          {CONFIDENCES.map((each) => (
            <Chip
              key={each}
              pressed={confidence === each}
              onClick={() => go({ confidence: confidence === each ? undefined : each })}
            >
              {say(`advice.confidence.${each}`)}
            </Chip>
          ))}
          {(["device", "type", "site"] as const).map((part) =>
            search[part] === undefined ? null : (
              <Chip
                key={part}
                pressed
                label={say("advice.narrowed", { name: search[part] })}
                onClick={() => go({ [part]: undefined })}
              >
                {search[part]} ×
              </Chip>
            ),
          )}
        </nav>
        <NativeSelect
          size="xs"
          className={css.order}
          aria-label={say("advice.sort")}
          value={sort}
          data={ADVICE_ORDERS.map((value) => ({ value, label: say(`advice.orders.${value}`) }))}
          onChange={({ target }) => go({ sort: target.value as AdviceSearch["sort"] })}
        />
      </div>
      <section className={page.card} aria-label={say("advice.table")}>
        {body}
      </section>
    </>
  )
}

function idOf({ id }: Recommendation): string {
  return id
}

function isUrgent({ decision }: Recommendation): boolean {
  return decision === null
}
