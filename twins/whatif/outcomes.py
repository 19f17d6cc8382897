"""What came of a replication, as tables."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twins import alert_kpis
from twins.alert_kpis import AlertLog
from twins.clock import HOUR_US
from twins.devices import PRIORITIES
from twins.events import EVENT, KINDS, Kind
from twins.whatif.cast import Cast, Setting
from twins.whatif.policies import Booking, Order

BUCKETS: Final = pa.schema(
    [
        ("arm", pa.string()),
        ("replication", pa.int32()),
        ("start_h", pa.float64()),
        ("group", pa.string()),
        ("devices", pa.int64()),
        ("service_h", pa.float64()),
        ("downtime_h", pa.float64()),
        ("failures", pa.int64()),
        ("planned", pa.int64()),
        ("unplanned", pa.int64()),
        ("maintenance_cost", pa.float64()),
        ("downtime_cost", pa.float64()),
        ("energy_kwh", pa.float64()),
        ("health_sum", pa.float64()),
        ("health_steps", pa.int64()),
        *((f"alerts_{priority}", pa.int64()) for priority in PRIORITIES),
        ("acknowledged", pa.int64()),
    ]
)
"""What happened in each stretch of time, by group. Work is counted, and paid, when it begins."""

WORK: Final = pa.schema(
    [
        ("arm", pa.string()),
        ("replication", pa.int32()),
        ("device_id", pa.string()),
        ("device_type", pa.string()),
        ("action", pa.string()),
        ("planned", pa.bool_()),
        ("failure_mode", pa.string()),
        ("asked_h", pa.float64()),
        ("begins_h", pa.float64()),
        ("ends_h", pa.float64()),
        ("cost", pa.float64()),
    ]
)
EVENTS: Final = pa.schema(
    [
        ("arm", pa.string()),
        ("replication", pa.int32()),
        ("at_h", pa.float64()),
        ("device_id", pa.string()),
        ("device_type", pa.string()),
        ("rule", pa.string()),
        ("kind", pa.string()),
        ("priority", pa.string()),
        ("occurrence", pa.int64()),
    ]
)
DEVICES: Final = pa.schema(
    [
        ("arm", pa.string()),
        ("replication", pa.int32()),
        ("device_id", pa.string()),
        ("device_type", pa.string()),
        ("service_h", pa.float64()),
        ("downtime_h", pa.float64()),
        ("failures", pa.int64()),
        ("energy_kwh", pa.float64()),
        ("alerts", pa.int64()),
        ("health", pa.float64()),
    ]
)
RUNS: Final = pa.schema(
    [
        ("arm", pa.string()),
        ("replication", pa.int32()),
        ("devices", pa.int64()),
        ("alerts_per_10_min", pa.float64()),
        ("peak_alerts_in_10_min", pa.int64()),
        ("floods", pa.int64()),
        ("time_in_flood_share", pa.float64()),
        ("chattering", pa.int64()),
        ("fleeting", pa.int64()),
        ("stale", pa.int64()),
        ("standing", pa.float64()),
        ("time_to_acknowledge_s", pa.float64()),
        ("device_steps", pa.int64()),
    ]
)
"""One line a replication: alerts as ISA-18.2 counts them, of all forked devices together as one position's."""

TABLES: Final[Mapping[str, pa.Schema]] = {
    "buckets": BUCKETS, "runs": RUNS, "work": WORK, "events": EVENTS, "devices": DEVICES
}  # fmt: skip


class Outcome(NamedTuple):
    """What came of a replication: tables by name, and what was traced."""

    tables: dict[str, pa.Table]
    traces: pa.Table | None


class Ledger:
    """What happens in a run, noted as it goes."""

    def __init__(self, setting: Setting, cast: Sequence[Cast]) -> None:
        self._setting, self._cast = setting, cast
        self._events: list[list[NDArray[Any]]] = [[] for _ in cast]
        self._work: list[tuple[Any, ...]] = []
        self._begun: dict[int, list[Booking]] = {}  # by bucket
        self._buckets: list[dict[str, NDArray[np.float64]]] = []
        self._standing: list[int] = []

    def hear(self, kind: Cast, events: NDArray[Any]) -> None:
        """Note events of alerts of a type; those of one device in their order."""
        events = events[events["kind"] >= int(Kind.ALERT_RAISED)]
        if len(events):
            self._events[kind.index].append(events.copy())

    def note_standing(self, alerts: int) -> None:
        """Note how many alerts stand at the end of a window."""
        self._standing.append(alerts)

    def note_work(self, kind: Cast, booking: Booking) -> None:
        """Note work that was booked; it is counted, and paid, when it begins."""
        setting, order = self._setting, booking.order
        bucket_us = round(setting.scenario.bucket_h * HOUR_US)
        self._begun.setdefault((booking.begins_us - setting.start_us) // bucket_us, []).append(booking)
        if "work" in setting.scenario.keep:
            times_us = (order.asked_us, booking.begins_us, booking.ends_us)
            mode = "" if order.failure_mode < 0 else kind.device_type.failure_modes[order.failure_mode].name
            self._work.append(
                (setting.arm.name, setting.number, kind.ids[order.row], kind.device_type.name,
                 kind.device_type.actions[order.action].name, order.planned, mode,
                 *((at_us - setting.start_us) / HOUR_US for at_us in times_us), self._cost(kind, order))
            )  # fmt: skip

    def close_bucket(self) -> None:
        """Add up what happened since the last one."""
        sums = {name: np.zeros(len(self._setting.groups)) for name in BUCKETS.names[4:]}
        for kind in self._cast:
            kind.take(sums)
        for booking in self._begun.pop(len(self._buckets), []):
            kind = self._cast[booking.order.type_index]
            group = kind.group[booking.order.row]
            sums["planned" if booking.order.planned else "unplanned"][group] += 1
            sums["maintenance_cost"][group] += self._cost(kind, booking.order)
        self._buckets.append(sums)

    def tables(self, end_us: int) -> dict[str, pa.Table]:
        """What came of it all, by name of ``TABLES``."""
        keep = self._setting.scenario.keep
        tables = {"buckets": self._bucket_table(), "runs": self._run_table(end_us)}
        if "work" in keep:
            tables["work"] = _table(self._work, WORK)
        if "events" in keep:
            order = [("at_h", "ascending"), ("device_id", "ascending")]
            tables["events"] = pa.concat_tables([self._event_table(kind) for kind in self._cast]).sort_by(
                order
            )
        if "devices" in keep:
            tables["devices"] = pa.concat_tables([self._device_table(kind) for kind in self._cast])
        return tables

    def _cost(self, kind: Cast, order: Order) -> float:
        surcharge = 0.0 if order.planned else self._setting.resources.unplanned_surcharge
        return kind.price[order.action] * (1.0 + surcharge)

    def _bucket_table(self) -> pa.Table:
        setting, buckets = self._setting, len(self._buckets)
        lines = len(setting.groups) * buckets
        columns: dict[str, Any] = {
            **self._said(lines),
            "start_h": np.repeat(np.arange(buckets) * setting.scenario.bucket_h, len(setting.groups)),
            "group": list(setting.groups) * buckets,
        }
        for name in BUCKETS.names[4:]:
            values = np.concatenate([sums[name] for sums in self._buckets])
            columns[name] = values if BUCKETS.field(name).type == pa.float64() else values.astype(np.int64)
        return pa.table(columns, BUCKETS)

    def _run_table(self, end_us: int) -> pa.Table:
        setting = self._setting
        logs = [_log(kind, self._records(kind)) for kind in self._cast]
        time_us, alert, kind, priority = (np.concatenate(columns) for columns in zip(*logs, strict=True))
        order = np.argsort(time_us, kind="stable")
        log = AlertLog(time_us[order], alert[order], kind[order], priority[order])
        kpis = alert_kpis.alert_kpis(log, setting.start_us, end_us + 1)
        answer_s = kpis.time_to_acknowledge_s["p50"]
        rows = sum(each.rows for each in self._cast)
        steps = rows * ((end_us - setting.start_us) // setting.step_us)
        row = (
            setting.arm.name, setting.number, rows, kpis.annunciations_per_10_min, kpis.peak_in_10_min, kpis.floods,
            kpis.time_in_flood_share, len(kpis.chattering), kpis.fleeting, kpis.stale,
            sum(self._standing) / len(self._standing), None if np.isnan(answer_s) else answer_s, steps,
        )  # fmt: skip
        return _table([row], RUNS)

    def _event_table(self, kind: Cast) -> pa.Table:
        records, rules = self._records(kind), kind.device_type.rules
        slot = pa.array(records["slot"].astype(np.int64))
        columns = {
            **self._said(len(records)),
            "at_h": (records["at_us"] - self._setting.start_us) / HOUR_US,
            "device_id": pa.array(kind.ids, pa.string()).take(pa.array(records["row"].astype(np.int64))),
            "device_type": pa.repeat(kind.device_type.name, len(records)),
            "rule": pa.array([rule.name for rule in rules], pa.string()).take(slot),
            "kind": [KINDS[Kind(each)].type for each in records["kind"].tolist()],
            "priority": pa.array([rule.priority for rule in rules], pa.string()).take(slot),
            "occurrence": records["occurrence"].astype(np.int64),
        }
        return pa.table(columns, EVENTS)

    def _device_table(self, kind: Cast) -> pa.Table:
        totals = kind.totals
        with np.errstate(invalid="ignore"):
            health = totals["health"] / totals["steps"]
        columns = {
            **self._said(kind.rows),
            "device_id": kind.ids,
            "device_type": pa.repeat(kind.device_type.name, kind.rows),
            "service_h": totals["service_us"] / HOUR_US,
            "downtime_h": totals["down_us"] / HOUR_US,
            "failures": totals["failures"].astype(np.int64),
            "energy_kwh": totals["energy_kwh"],
            "alerts": totals["alerts"].astype(np.int64),
            "health": pa.array(health, mask=np.isnan(health)),
        }
        return pa.table(columns, DEVICES)

    def _said(self, lines: int) -> dict[str, Any]:
        """The columns that say of which run lines are."""
        number = pa.scalar(self._setting.number, pa.int32())
        return {"arm": pa.repeat(self._setting.arm.name, lines), "replication": pa.repeat(number, lines)}

    def _records(self, kind: Cast) -> NDArray[Any]:
        """Events of alerts of a type by time, then by device, then as they happened."""
        records = np.concatenate([np.zeros(0, EVENT), *self._events[kind.index]])
        return records[np.lexsort((np.arange(len(records)), records["row"], records["at_us"]))]


def _log(kind: Cast, records: NDArray[Any]) -> AlertLog:
    alert = (np.int64(kind.index) << 48) | (records["row"].astype(np.int64) << 12) | records["slot"]
    priority = np.append(kind.model.course.priority, np.uint8(0))[records["slot"]]
    return AlertLog(records["at_us"], alert, records["kind"], priority)


def _table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(c, kind) for c, kind in zip(columns, schema.types, strict=True)], schema)
