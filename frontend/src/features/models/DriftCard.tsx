/** Whether the version in force still fits the devices that it is asked about, and what that comes from. */
import { useQuery } from "@tanstack/react-query"
import { driftQuery } from "@/api/models"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import { driftText } from "./driftText"
import css from "./models.module.css"

export function DriftCard({ type }: { readonly type: string }) {
  const { data, error, refetch } = useQuery(driftQuery(type))
  return (
    <Card className={css.whole} title={say("models.drift")} aside={data?.at ? <Age at={data.at} /> : null}>
      {data ? <Said lines={driftText(data)} /> : null}
      {error && !data ? <Failed error={error} retry={refetch} /> : null}
      {data || error ? null : <Skeleton rows={3} />}
    </Card>
  )
}

function Said({ lines: [judged, ...facts] }: { readonly lines: readonly string[] }) {
  return (
    <div className={css.verdict}>
      <strong>{judged}</strong>
      <ul>
        {facts.map((fact) => (
          <li key={fact}>{fact}</li>
        ))}
      </ul>
    </div>
  )
}
