/** How the alerts treat the people who answer them: the KPIs of ISA-18.2, for all or for one operator position. */
import { TextInput } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { getRouteApi, useNavigate } from "@tanstack/react-router"
import { type ReactNode, useState } from "react"
import { KPI_HOURS } from "@/addresses"
import { alertKpisQuery } from "@/api/queries"
import { AlertNav } from "@/components/AlertNav"
import { Chip } from "@/components/Chip"
import page from "@/components/page.module.css"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import css from "./AlertKpisPage.module.css"
import { Chattering, Culprits, WorstFloods } from "./cards"
import { Figures } from "./Figures"

const route = getRouteApi("/alerts/kpis")

export function AlertKpisPage() {
  const { hours = 24, filter } = route.useSearch()
  const { data, error, refetch, isPlaceholderData } = useQuery(alertKpisQuery(hours, filter))
  const period = say(`kpis.periods.${hours}`)
  let body: ReactNode = <Skeleton rows={8} />
  if (error) body = <Failed error={error} retry={refetch} />
  else if (data)
    body = (
      <div className={css.body} data-stale={isPlaceholderData}>
        <Figures kpis={data} period={period} />
        <div className={css.cards}>
          <Culprits kpis={data} period={period} />
          <div className={css.column}>
            <Chattering kpis={data} period={period} />
            <WorstFloods kpis={data} period={period} />
          </div>
        </div>
      </div>
    )
  return (
    <>
      <header className={page.header}>
        <h1 className={page.title}>{say("alerts.title")}</h1>
        <AlertNav />
        <Choice hours={hours} filter={filter ?? ""} />
      </header>
      {body}
    </>
  )
}

function Choice({ hours, filter }: { readonly hours: number; readonly filter: string }) {
  const navigate = useNavigate({ from: "/alerts/kpis" })
  const [typed, setTyped] = useState(filter)
  return (
    <form
      className={css.choice}
      onSubmit={(event) => {
        event.preventDefault()
        navigate({ search: (before) => ({ ...before, filter: typed.trim() || undefined }) })
      }}
    >
      <TextInput
        size="xs"
        className={css.position}
        aria-label={say("kpis.position")}
        placeholder={say("kpis.positionExample")}
        title={say("kpis.positionHelp")}
        value={typed}
        onChange={({ target }) => setTyped(target.value)}
      />
      {KPI_HOURS.map((each) => (
        <Chip
          key={each}
          pressed={each === hours}
          onClick={() => navigate({ search: (before) => ({ ...before, hours: each }) })}
        >
          {say(`kpis.hours.${each}`)}
        </Chip>
      ))}
    </form>
  )
}
