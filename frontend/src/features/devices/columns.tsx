/** The columns of the device table. */
import { Link } from "@tanstack/react-router"
import type { DeviceItem } from "@/api/schema"
import { Age } from "@/components/Age"
import type { Column } from "@/components/DataTable"
import { HealthBar } from "@/components/HealthBar"
import { PriorityMark } from "@/components/PriorityMark"
import { Status } from "@/components/Status"
import { count, fixed } from "@/words/figures"
import { say, sayOf } from "@/words/say"

export const COLUMNS: readonly Column<DeviceItem>[] = [
  {
    id: "mark",
    title: "",
    width: "12px",
    narrow: "mark",
    header: <span className="visually-hidden">{say("devices.priority")}</span>,
    cell: ({ priority, unacknowledged }) =>
      priority ? <PriorityMark priority={priority} waiting={unacknowledged > 0} /> : null,
  },
  {
    id: "id",
    title: say("devices.id"),
    width: "minmax(132px, 2fr)",
    sort: "id",
    narrow: "main",
    cell: ({ id }) => (
      <Link to="/devices/$id" params={{ id }} preload={false}>
        {id}
      </Link>
    ),
  },
  { id: "name", title: say("devices.name"), width: "minmax(120px, 2fr)", cell: ({ name }) => name },
  {
    id: "type",
    title: say("devices.type"),
    width: "minmax(112px, 1.5fr)",
    sort: "type",
    narrow: "more",
    cell: ({ type }) => type,
  },
  {
    id: "site",
    title: say("devices.site"),
    width: "minmax(80px, 1fr)",
    sort: "site",
    cell: ({ site }) => site,
  },
  { id: "parent", title: say("devices.parent"), width: "minmax(96px, 1fr)", cell: ({ parent }) => parent },
  {
    id: "health",
    title: say("devices.health"),
    width: "minmax(112px, 1.2fr)",
    sort: "health",
    narrow: "side",
    cell: ({ health }) => <HealthBar value={health} />,
  },
  {
    id: "anomaly",
    title: say("devices.anomaly"),
    width: "72px",
    align: "right",
    sort: "anomaly_score",
    first: "down",
    cell: ({ anomaly_score }) => fixed(anomaly_score, 2),
  },
  {
    id: "patterns",
    title: say("devices.patterns"),
    width: "minmax(100px, 1.5fr)",
    cell: ({ patterns }) => patterns.map((pattern) => sayOf("patterns", pattern, pattern)).join(", "),
  },
  {
    id: "alerts",
    title: say("devices.alerts"),
    width: "64px",
    align: "right",
    sort: "alerts",
    first: "down",
    cell: ({ alerts }) => (alerts > 0 ? count(alerts) : ""),
  },
  {
    id: "status",
    title: say("devices.status"),
    width: "104px",
    cell: ({ status }) => <Status status={status} />,
  },
  {
    id: "eventTime",
    title: say("devices.eventTime"),
    width: "96px",
    align: "right",
    sort: "event_time",
    first: "down",
    narrow: "end",
    cell: ({ event_time }) => <Age at={event_time} />,
  },
  {
    id: "heardAt",
    title: say("devices.heardAt"),
    width: "96px",
    align: "right",
    cell: ({ heard_at }) => <Age at={heard_at} />,
  },
]
