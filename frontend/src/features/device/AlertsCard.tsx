/** The alerts that stand for this device. */
import { Link } from "@tanstack/react-router"
import type { AlertItem } from "@/api/schema"
import { Age } from "@/components/Age"
import { alertText } from "@/components/alertText"
import { Card } from "@/components/Card"
import { PriorityMark } from "@/components/PriorityMark"
import { say } from "@/words/say"
import { AcknowledgeButton } from "./AcknowledgeButton"
import css from "./cards.module.css"

export function AlertsCard({ alerts }: { readonly alerts: readonly AlertItem[] }) {
  const standing = alerts.filter(({ state }) => state !== "NORMAL")
  const device = standing[0]?.device_id
  return (
    <Card
      title={say("device.alerts")}
      aside={
        device ? (
          <Link to="/alerts" search={{ tab: "active", device }}>
            {say("overview.allAlerts")}
          </Link>
        ) : null
      }
    >
      {standing.length === 0 ? (
        <p className={css.none}>{say("device.noAlerts")}</p>
      ) : (
        <ul>
          {standing.map((alert) => (
            <li key={alert.id} className={css.alert}>
              <PriorityMark priority={alert.priority} waiting={alert.state === "UNACK"} />
              <span className={css.alertText}>{alertText(alert)}</span>
              <span className={css.since}>
                <Age at={alert.since} bare />
              </span>
              <span className={css.response}>{alert.response}</span>
              <span className={css.act}>
                <AcknowledgeButton alert={alert} />
              </span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}
