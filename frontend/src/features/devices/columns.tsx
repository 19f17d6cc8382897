/** The columns of the device table. */
import { Link } from "@tanstack/react-router"
import type { DeviceItem } from "@/api/schema"
import { Age } from "@/components/Age"
import type { Column } from "@/components/DataTable"
import { HealthBar } from "@/components/HealthBar"
import { likeness } from "@/components/likeness"
import { MARK_WIDTH, RowMark } from "@/components/RowMark"
import { Status } from "@/components/Status"
import { count, fixed, share } from "@/words/figures"
import { say, sayOf } from "@/words/say"
import { span } from "@/words/times"

/** Made when they are drawn, since their titles are in the language in force; with `toggle`, rows can be ticked. */
export const deviceColumns = (toggle?: (id: string) => void): readonly Column<DeviceItem>[] => [
  {
    id: "mark",
    title: "",
    width: toggle ? MARK_WIDTH : 12,
    narrow: "mark",
    cell: ({ id, priority, unacknowledged }, isSelected) => (
      <RowMark
        priority={priority}
        waiting={unacknowledged > 0}
        box={
          toggle && {
            label: say("many.select", { id }),
            checked: isSelected,
            onChange: () => toggle(id),
          }
        }
      />
    ),
  },
  {
    id: "id",
    title: say("devices.id"),
    width: 132,
    grow: 2,
    sort: "id",
    narrow: "main",
    cell: ({ id }) => (
      <Link to="/devices/$id" params={{ id }} preload={false}>
        {id}
      </Link>
    ),
  },
  { id: "name", title: say("devices.name"), width: 120, grow: 2, cell: ({ name }) => name },
  {
    id: "type",
    title: say("devices.type"),
    width: 112,
    grow: 1.5,
    sort: "type",
    narrow: "more",
    cell: ({ type }) => type,
  },
  {
    id: "site",
    title: say("devices.site"),
    width: 80,
    grow: 1,
    sort: "site",
    cell: ({ site }) => site,
  },
  { id: "parent", title: say("devices.parent"), width: 96, grow: 1, cell: ({ parent }) => parent },
  {
    id: "health",
    title: say("devices.health"),
    width: 96,
    grow: 1.2,
    sort: "health",
    narrow: "side",
    named: true,
    cell: ({ health }) => <HealthBar value={health} />,
  },
  {
    id: "anomaly",
    title: say("devices.anomaly"),
    width: 72,
    align: "right",
    sort: "anomaly_score",
    first: "down",
    cell: ({ anomaly_score }) => fixed(anomaly_score, 2),
  },
  {
    id: "fails",
    title: say("devices.fails"),
    width: 72,
    align: "right",
    sort: "p_fail_7d",
    first: "down",
    cell: ({ p_fail_7d, in_distribution }) =>
      in_distribution === false ? say("prognosis.cannotSay") : p_fail_7d === null ? "" : share(p_fail_7d),
  },
  {
    id: "left",
    title: say("devices.left"),
    width: 80,
    align: "right",
    sort: "rul_p50_h",
    first: "up",
    cell: ({ rul_p50_h }) => (rul_p50_h === null ? "" : span(rul_p50_h * 3_600_000)),
  },
  {
    id: "like",
    title: say("devices.like"),
    width: 88,
    align: "right",
    sort: "like_healthy",
    first: "up",
    cell: ({ like_healthy }) => likeness(like_healthy),
  },
  {
    id: "patterns",
    title: say("devices.patterns"),
    width: 80,
    grow: 1.5,
    cell: ({ patterns }) => patterns.map((pattern) => sayOf("patterns", pattern, pattern)).join(", "),
  },
  {
    id: "alerts",
    title: say("devices.alerts"),
    width: 64,
    align: "right",
    sort: "alerts",
    first: "down",
    cell: ({ alerts }) => (alerts > 0 ? count(alerts) : ""),
  },
  {
    id: "status",
    title: say("devices.status"),
    width: 84,
    cell: ({ status }) => <Status status={status} />,
  },
  {
    id: "eventTime",
    title: say("devices.eventTime"),
    width: 88,
    align: "right",
    sort: "event_time",
    first: "down",
    narrow: "end",
    cell: ({ event_time }) => <Age at={event_time} />,
  },
  {
    id: "heardAt",
    title: say("devices.heardAt"),
    width: 96,
    align: "right",
    cell: ({ heard_at }) => <Age at={heard_at} />,
  },
]
