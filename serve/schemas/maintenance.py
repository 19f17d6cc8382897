"""Maintenance: what was done to devices or found, and what corrects a record of it."""

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.config import JsonDict

from serve.schemas.base import Name, Reply, Request, Text

MaintenanceKind = Literal["failure", "repair", "replacement", "inspection"]

_RECORD: Final[JsonDict] = {
    "id": "host-0.4711.0", "device_id": "pump-17", "type": "centrifugal-pump", "site": "oslo", "kind": "replacement",
    "action": "replace-bearings", "title": "Replace both bearings", "failure_mode": "bearing-wear",
    "at": "2026-01-31T10:30:00.000Z", "recorded_at": "2026-01-31T12:00:00.000Z", "by": "kari", "note": "noisy since Monday",
    "life_cycle": 2, "cost": 1900.0, "duration_h": 6.0, "withdrawn": False, "corrections": 1, "corrected_by": "ola",
    "corrected_at": "2026-01-31T12:10:00.000Z",
}  # fmt: skip


class Maintenance(Request):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "repair", "action": "replace-bearing", "note": "noisy"}]}
    )

    kind: MaintenanceKind
    action: Name | None = None
    failure_mode: Name | None = None
    at: AwareDatetime | None = Field(None, description="when it was done; null: now")
    note: Text = ""


class Correction(Request):
    """All that the record should have said; what is left out, it does not say."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "repair", "action": "regrease-bearings", "reason": "the wrong action was chosen"},
                {"kind": "repair", "withdrawn": True, "reason": "it was another pump"},
            ]
        }
    )

    kind: MaintenanceKind
    action: Name | None = None
    failure_mode: Name | None = None
    at: AwareDatetime | None = Field(None, description="when it was done; null: when the record says")
    note: Text = ""
    reason: Annotated[str, Field(min_length=1, max_length=2_000)] = Field(description="why it is corrected")
    withdrawn: bool = Field(False, description="it never was: lists leave the record out from now on")


class MaintenanceItem(Reply):
    """A record as it stands after all corrections."""

    id: str
    device_id: str
    type: str
    site: str | None = Field(description="of the device now; null: the live table does not show it")
    kind: MaintenanceKind
    action: str | None
    title: str | None = Field(description="of the action")
    failure_mode: str | None
    at: AwareDatetime = Field(description="when it was done")
    recorded_at: AwareDatetime
    by: str
    note: str
    life_cycle: int | None = Field(description="that it opened, or during which it was")
    cost: float | None = Field(
        description="of the action, by the type in force; null where that does not say"
    )
    duration_h: float | None = Field(description="as cost")
    withdrawn: bool
    corrections: int
    corrected_by: str | None
    corrected_at: AwareDatetime | None


class MaintenancePage(Reply):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"items": [_RECORD], "total": 1, "as_of": "2026-01-31T12:00:01.000Z",
                 "next": "WyI5YzFmIiwxXQ", "previous": "WyI5YzFmIiwwXQ"}
            ]
        }
    )  # fmt: skip

    items: list[MaintenanceItem]
    total: int
    as_of: AwareDatetime | None = Field(description="of the live table, which says at which site a device is")
    next: str | None = Field(description="pass as `after`; null on the last page")
    previous: str | None = Field(description="pass as `before`; null on the first page")


class CorrectionItem(Reply):
    by: str
    recorded_at: AwareDatetime
    reason: str
    kind: MaintenanceKind
    action: str | None
    failure_mode: str | None
    at: AwareDatetime | None
    note: str
    withdrawn: bool


class MaintenanceRecord(MaintenanceItem):
    model_config = ConfigDict(json_schema_extra={"examples": [{**_RECORD, "history": []}]})

    history: list[CorrectionItem] = Field(description="what corrected it, the oldest first")
