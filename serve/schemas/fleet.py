"""The fleet at a glance: counts and the map."""

from typing import Literal

from pydantic import AwareDatetime, Field

from serve.schemas.alerts import AlertCounts
from serve.schemas.base import Reply


class HealthCounts(Reply):
    known: int
    below_50: int
    below_80: int


class StandingCounts(AlertCounts):
    unacknowledged: AlertCounts


class TypeCount(Reply):
    type: str
    devices: int


class SiteCount(Reply):
    site: str
    devices: int


class FleetSummary(Reply):
    as_of: AwareDatetime | None
    devices: int = Field(description="without those that are retired or being imported")
    reporting: int
    stale: int
    silent: int
    retired: int
    importing: int = Field(description="devices whose past is being told")
    health: HealthCounts
    alerts: StandingCounts
    readings_per_s: float | None
    types: list[TypeCount]
    sites: list[SiteCount] = Field(description="the largest hundred")
    site_count: int
    unreachable: list[int] = Field(description="hosts that do not answer: their last copy is shown")


class SiteCells(Reply):
    site: str
    count: int
    cells: str = Field(
        description="base64 of one byte a device: 0 normal, 1 low, 2 medium, 3 high, 4 critical, "
        "5 stale, 6 silent, 7 retired or importing"
    )


class FleetMap(Reply):
    as_of: AwareDatetime | None
    order: Literal["site,type,id"]
    sites: list[SiteCells]
