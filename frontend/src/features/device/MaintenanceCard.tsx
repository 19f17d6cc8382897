/** What was done to the device or found, newest first, as it stands after all corrections. */
import { Button } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { lazy, Suspense, useState } from "react"
import { reaches } from "@/api/accounts"
import { maintenanceQuery } from "@/api/queries"
import type { MaintenanceItem, TypeInfo } from "@/api/schema"
import { useMe } from "@/api/session"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import css from "./MaintenanceCard.module.css"

const CorrectionDialog = lazy(() => import("./CorrectionDialog"))

interface Props {
  readonly id: string
  readonly type: TypeInfo | undefined
}

export function MaintenanceCard({ id, type }: Props) {
  const { data, error, refetch } = useQuery(maintenanceQuery(id))
  const mayCorrect = reaches(useMe()?.role, "operator")
  const [meant, setMeant] = useState<MaintenanceItem | null>(null)
  return (
    <Card title={say("maintenance.log")}>
      {error && !data ? (
        <Failed error={error} retry={refetch} />
      ) : !data ? (
        <Skeleton rows={2} />
      ) : data.items.length === 0 ? (
        <p className={css.none}>{say("maintenance.none")}</p>
      ) : (
        <ul>
          {data.items.map((record) => (
            <li key={record.id} className={css.record} data-withdrawn={record.withdrawn || undefined}>
              <span className={css.what}>
                <span className={css.kind}>
                  {say(`maintenance.kinds.${record.kind}`)}
                  {record.title ? `: ${record.title}` : ""}
                </span>
                {record.note ? <span>{record.note}</span> : null}
                <span className={css.faint}>{factsOf(record, type)}</span>
              </span>
              <span className={css.end}>
                <Age at={record.at} />
                {mayCorrect ? (
                  <Button size="compact-sm" onClick={() => setMeant(record)}>
                    {say("maintenance.correct")}
                  </Button>
                ) : null}
              </span>
            </li>
          ))}
        </ul>
      )}
      <Suspense>
        {meant ? <CorrectionDialog record={meant} type={type} onClose={() => setMeant(null)} /> : null}
      </Suspense>
    </Card>
  )
}

function factsOf(record: MaintenanceItem, type: TypeInfo | undefined): string {
  const { failure_mode, by, withdrawn, corrections, corrected_by } = record
  const mode = type?.failure_modes.find(({ name }) => name === failure_mode)?.title ?? failure_mode
  return [
    mode ?? "",
    say("alerts.by", { name: by }),
    withdrawn ? say("maintenance.isWithdrawn", { name: corrected_by }) : "",
    corrections > 0 && !withdrawn ? say("maintenance.isCorrected", { name: corrected_by }) : "",
  ]
    .filter(Boolean)
    .join(" · ")
}
