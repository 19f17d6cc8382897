"""The past: series, condition, events, KPIs."""

from typing import Any

from pydantic import AwareDatetime, Field

from serve.schemas.alerts import AlertCounts
from serve.schemas.base import ListReply, Priority, Reply


class Series(Reply):
    """Raw values, or the least and greatest of each bucket; null where nothing was measured."""

    time: list[int] = Field(description="ms since the epoch")
    value: list[float | None] | None = None
    min: list[float | None] | None = None
    max: list[float | None] | None = None


class DeviceHistory(Reply):
    start: AwareDatetime
    end: AwareDatetime
    bucket_s: float | None = Field(description="null: every reading is shown")
    rows: int = Field(description="readings in the range")
    channels: dict[str, Series]


class ConditionHistory(Reply):
    time: list[int]
    health: list[float | None]
    anomaly_score: list[float | None]


class EventItem(Reply):
    type: str
    at: AwareDatetime
    recorded_at: AwareDatetime
    detail: dict[str, Any]


class FleetEvent(EventItem):
    """An event, and the rule that it is about as the type in force has it."""

    id: str
    device_id: str
    device_type: str
    rule: str | None = Field(description="null: it is about none")
    title: str | None = Field(description="of the rule; null where the type has it no longer")
    priority: Priority | None = Field(description="as title")
    unit: str | None = Field(description="of the value that raised an alert, as title")


class FleetEvents(ListReply):
    items: list[FleetEvent] = Field(description="the newest first, by when they were recorded")
    as_of: AwareDatetime | None = Field(
        description="of the live table, which says what a filter lets through"
    )


class EventCount(Reply):
    type: str
    events: int
    devices: int = Field(description="to how many it happened")
    last_at: AwareDatetime = Field(description="when the last was recorded")


class EventCounts(Reply):
    items: list[EventCount] = Field(description="the most frequent first")
    start: AwareDatetime
    end: AwareDatetime


class Flood(Reply):
    start: AwareDatetime
    end: AwareDatetime
    alerts: int


class RaisedBy(Reply):
    device_id: str
    type: str
    rule: str
    alerts: int


class BadActor(RaisedBy):
    share: float


class AlertKpis(Reply):
    """ISA-18.2, for one operator position."""

    as_of: AwareDatetime | None
    hours: float
    raised: int
    per_hour: float
    acceptable_per_hour: float
    manageable_per_hour: float
    most_in_10_min: int
    share_of_10_min_above_10: float
    by_priority: AlertCounts
    floods: int = Field(description="begun by more than 10 in 10 minutes, ended by fewer than 5")
    flooded_since: AwareDatetime | None = Field(description="of the flood that is on; null: there is none")
    share_of_time_in_flood: float
    worst_floods: list[Flood]
    chattering: list[RaisedBy] = Field(description="three times in a minute")
    stale: int = Field(description="standing for more than a day")
    bad_actors: list[BadActor]
    share_of_ten_worst: float | None
    acknowledged: int
    median_s_to_acknowledge: float | None
    p90_s_to_acknowledge: float | None
