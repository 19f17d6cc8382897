"""Devices: the fleet as items, pages or columns; one of them, its past, and what is done to it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from serve.client.connection import Connection, in_path
from serve.schemas.base import Priority
from serve.schemas.device_commands import DeviceAct, DeviceCommands, DeviceMatch, DevicesDone
from serve.schemas.devices import (
    DeviceDetail,
    DeviceItem,
    DevicePage,
    Done,
    NewDevice,
    NewDevices,
    Registered,
)
from serve.schemas.history import (
    ConditionHistory,
    DeviceHistory,
    EventCounts,
    FleetEvent,
    FleetEvents,
)
from serve.schemas.prognosis import DevicePrognosis, PrognosisHistory
from twins.prognosis import FIGURES

MOST_POINTS: Final = 5_000
"""Readings of one device that one answer holds."""

_SHORTEST: Final = timedelta(milliseconds=1)
_TIME: Final = pa.timestamp("us", "UTC")
_COLUMNS: Final[Mapping[str, pa.DataType]] = {
    "labels": pa.map_(pa.string(), pa.string()),
    "health": pa.float64(),
    "observed": pa.float64(),
    "anomaly_score": pa.float64(),
    "anomalous": pa.bool_(),
    "unacknowledged": pa.int64(),
    **{name: pa.float64() for name in FIGURES},
    "in_distribution": pa.bool_(),
    "model_version": pa.int64(),
    "predicted_at": _TIME,
    "event_time": _TIME,
    "heard_at": _TIME,
    "patterns": pa.list_(pa.string()),
    "alerts": pa.int64(),
}
"""Columns of a table of devices that are not text."""


class Devices:
    """What can be asked about devices. Filter, search and sort are those of ``GET /api/devices``."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    # -- many ------------------------------------------------------------------------------------------------------

    def all(
        self,
        filter: str = "",  # noqa: A002
        *,
        q: str = "",
        sort: str = "id",
        cursor: str | None = None,
    ) -> Iterator[DeviceItem]:
        """Every device that fits, one after another: ``all("health < 50", sort="health")``."""
        for page in self.pages(filter, q=q, sort=sort, cursor=cursor):
            yield from page.items

    def pages(
        self,
        filter: str = "",  # noqa: A002
        *,
        q: str = "",
        sort: str = "id",
        limit: int = 1_000,
        cursor: str | None = None,
    ) -> Iterator[DevicePage]:
        """The same in pages, which say how many fit in all, and the age of what they show."""
        query = {"filter": filter, "q": q, "sort": sort, "limit": limit, "cursor": cursor}
        return self._ask.pages(DevicePage, "/api/devices", query)

    def table(self, filter: str = "", *, q: str = "", sort: str = "id") -> pa.Table:  # noqa: A002
        """The same in columns: ``table(...).to_pandas()``."""
        items = [item.model_dump() for item in self.all(filter, q=q, sort=sort)]
        names = list(DeviceItem.model_fields)
        columns = [[item[name] for item in items] for name in names]
        columns[names.index("labels")] = [list(item["labels"].items()) for item in items]
        kinds = [_COLUMNS.get(name, pa.string()) for name in names]
        return pa.table(
            [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)], names=names
        )

    def register(
        self, devices: Sequence[NewDevice | Mapping[str, Any]], key: str | None = None
    ) -> Registered:
        """Give devices a twin each; all of them, or none."""
        body = NewDevices.model_validate({"devices": list(devices)})
        return self._ask.command(Registered, "POST", "/api/devices", body, key)

    def do_all(
        self,
        act: DeviceAct | Mapping[str, Any] | None,
        devices: Sequence[str] | DeviceMatch,
        *,
        dry_run: bool = False,
        expected: int | None = None,
        key: str | None = None,
    ) -> DevicesDone:
        """Ask one thing of many devices, those named or all that match; one that is refused costs no other.

        Parameters
        ----------
        act : a ``MaintenanceAct``, ``SendAct`` or ``RetireAct``, also as a mapping: ``{"type": "send", "command": "stop"}``;
            None: only count
        devices : ids, or what all of them have in common: ``DeviceMatch(filter="site = 'oslo'")``
        dry_run : only count, too, if that may be asked for
        expected : how many match, as counted before; where others do by now, nothing is asked
        key : under which it is done once to each; left out: a new one
        """
        which = {"matching": devices} if isinstance(devices, DeviceMatch) else {"devices": list(devices)}
        body = DeviceCommands.model_validate(
            {"act": act, "dry_run": dry_run or act is None, "expected": expected, **which}
        )
        return self._ask.command(DevicesDone, "POST", "/api/devices/commands", body, key)

    # -- one -------------------------------------------------------------------------------------------------------

    def one(self, device_id: str, at: datetime | None = None) -> DeviceDetail:
        """Everything its shard knows of a device, now or as it was at a past moment."""
        return self._ask.get(DeviceDetail, _of(device_id), {"at": at})

    def retire(self, device_id: str, key: str | None = None) -> Done:
        """Take a device out of the living fleet; its history stays and its id is not used again."""
        return self._ask.command(Done, "DELETE", _of(device_id), None, key)

    # -- its past --------------------------------------------------------------------------------------------------

    def history(
        self,
        device_id: str,
        channels: Sequence[str] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        points: int = 600,
    ) -> DeviceHistory:
        """Readings as a chart shows them: more than ``points`` as the least and the greatest of each bucket."""
        query = {"channels": ",".join(channels), "start": start, "end": end, "points": points}
        return self._ask.get(DeviceHistory, _of(device_id, "history"), query)

    def readings(
        self,
        device_id: str,
        channels: Sequence[str] = (),
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> pa.Table:
        """Every reading of a range, however many, as a table: ``time`` and a column a channel, null where nothing was sent.

        The range is that of ``history``: left out, the day up to now. Times are as they are shown, to the millisecond.
        """
        parts = [_table(part) for part in self._unbucketed(device_id, channels, start, end)]
        return pa.concat_tables(parts)

    def _unbucketed(
        self, device_id: str, channels: Sequence[str], start: datetime | None, end: datetime | None
    ) -> Iterator[DeviceHistory]:
        """Spans that follow each other, each short enough to be told in full."""
        found = self.history(device_id, channels, start, end, MOST_POINTS)
        if found.bucket_s is None:
            yield found
            return
        # what it says of its ends is to the millisecond
        at, end = start or found.start, end or found.end + _SHORTEST
        span = end - at
        while at < end:
            until = min(at + span, end)
            found = self.history(device_id, channels, at, until, MOST_POINTS)
            if found.bucket_s is not None and span > _SHORTEST:
                span = max(span / 4, _SHORTEST)
                continue
            yield found
            at = until
            if found.rows < MOST_POINTS // 3:
                span *= 2

    def condition(
        self, device_id: str, start: datetime | None = None, end: datetime | None = None
    ) -> ConditionHistory:
        """Health and anomaly score over time, as they changed."""
        return self._ask.get(ConditionHistory, _of(device_id, "condition"), {"start": start, "end": end})

    def prognosis(self, device_id: str) -> DevicePrognosis:
        """The forecast of a device at this moment: the curve, by failure mode, and what moved it."""
        return self._ask.get(DevicePrognosis, _of(device_id, "prognosis"))

    def prognoses(
        self, device_id: str, start: datetime | None = None, end: datetime | None = None
    ) -> PrognosisHistory:
        """The forecasts of a device over time, as they changed."""
        return self._ask.get(PrognosisHistory, _of(device_id, "prognoses"), {"start": start, "end": end})

    def events(self, device_id: str, limit: int = 100) -> list[FleetEvent]:
        """What happened to a device, newest first."""
        return self._ask.get(FleetEvents, _of(device_id, "events"), {"limit": limit}).items

    def all_events(
        self,
        filter: str = "",  # noqa: A002
        *,
        kind: Sequence[str] = (),
        device: Sequence[str] = (),
        rule: Sequence[str] = (),
        priority: Sequence[Priority] = (),
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Iterator[FleetEvent]:
        """Every event of the devices that fit, recorded from ``start`` to ``end``, newest first.

        Parameters
        ----------
        kind : event types, as ``alert.raised``, or their families, as ``alert``
        """
        query = {
            "filter": filter, "kind": tuple(kind), "device": tuple(device), "rule": tuple(rule),
            "priority": tuple(priority), "start": start, "end": end, "limit": 1_000,
        }  # fmt: skip
        for page in self._ask.pages(FleetEvents, "/api/events", query):
            yield from page.items

    def event_counts(
        self,
        filter: str = "",  # noqa: A002
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> EventCounts:
        """How much happened of each kind to the devices that fit, from ``start`` to ``end``; a day by default."""
        return self._ask.get(
            EventCounts, "/api/events/counts", {"filter": filter, "start": start, "end": end}
        )


def _of(device_id: str, what: str = "") -> str:
    return f"/api/devices/{in_path(device_id)}" + (f"/{what}" if what else "")


def _table(found: DeviceHistory) -> pa.Table:
    times = next((series.time for series in found.channels.values()), [])
    values = {
        name: pa.array(series.value if series.value is not None else series.max, pa.float64())
        for name, series in found.channels.items()
    }
    return pa.table({"time": pa.array(times, pa.timestamp("ms", "UTC")), **values})
