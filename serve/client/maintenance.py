"""Maintenance: recording what was done or found, what was recorded, correcting it."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from serve.client.connection import Connection, Revision, in_path
from serve.schemas.devices import Done
from serve.schemas.maintenance import (
    Correction,
    Maintenance,
    MaintenanceItem,
    MaintenanceKind,
    MaintenancePage,
    MaintenanceRecord,
)


class MaintenanceRecords:
    """What can be asked about maintenance."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    def all(
        self,
        filter: str = "",  # noqa: A002
        *,
        device: Sequence[str] = (),
        type: Sequence[str] = (),  # noqa: A002
        site: Sequence[str] = (),
        kind: Sequence[MaintenanceKind] = (),
        failure_mode: Sequence[str] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        withdrawn: bool = False,
    ) -> Iterator[MaintenanceItem]:
        """Every record that fits, done from ``start`` to ``end``, as it stands after all corrections; the newest first."""
        query = {
            "filter": filter, "device": tuple(device), "type": tuple(type), "site": tuple(site),
            "kind": tuple(kind), "failure_mode": tuple(failure_mode), "start": start, "end": end,
            "withdrawn": withdrawn, "limit": 1_000,
        }  # fmt: skip
        for page in self._ask.pages(MaintenancePage, "/api/maintenance", query):
            yield from page.items

    def one(self, record: str) -> MaintenanceRecord:
        """A record, and what corrected it."""
        return self._ask.get(MaintenanceRecord, f"/api/maintenance/{in_path(record)}")

    def record(self, device_id: str, done: Maintenance, key: str | None = None) -> Done:
        """Record what was done to a device, or found; what it resets is up to the action."""
        path = f"/api/devices/{in_path(device_id)}/maintenance"
        return self._ask.command(Done, "POST", path, done, key)

    def correct(
        self, record: str, correction: Correction, revision: Revision = "*", key: str | None = None
    ) -> Done:
        """Say what a record should have said; with ``revision``, the number of corrections that were seen, only if there
        is none beyond."""
        path = f"/api/maintenance/{in_path(record)}/corrections"
        return self._ask.command(Done, "POST", path, correction, key, revision)
