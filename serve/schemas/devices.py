"""Devices: pages of them, one with all that is known, registering."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from serve.schemas.base import Name, Priority, Reply, Request, Status
from serve.schemas.downlink import PropertyState


class DeviceState(Reply):
    """What a list and a device's own page have in common."""

    id: str
    type: str
    site: str
    parent: str | None
    name: str
    labels: dict[str, str]
    status: Status = Field(description="silent: never heard; stale: no news for too long")
    health: float | None = Field(description="0 to 100; null while too little was seen")
    observed: float | None = Field(description="0 to 1: the share of channels that health rests on")
    anomaly_score: float | None = Field(description="0 to 1")
    anomalous: bool
    unacknowledged: int
    priority: Priority | None = Field(description="of the most urgent alert that stands")
    event_time: AwareDatetime | None = Field(description="of the newest reading")
    heard_at: AwareDatetime | None = Field(description="when the device last brought news")
    p_fail_24h: float | None = Field(description="the forecast probability of a failure within a day")
    p_fail_7d: float | None = Field(description="within a week")
    p_fail_30d: float | None = Field(description="within thirty days")
    rul_p05_h: float | None = Field(description="remaining useful life, h: one of twenty fails sooner")
    rul_p50_h: float | None = Field(description="half fail sooner; null: beyond the longest life known")
    rul_p95_h: float | None = Field(description="one of twenty lasts longer")
    like_healthy: float | None = Field(
        description="the share of healthy devices of the type that are at least as unusual: small is unlike any of them; "
        "null: not known"
    )
    failure_mode: str | None = Field(description="the likeliest; null: they are not told apart")
    in_distribution: bool | None = Field(
        description="false: the model cannot say, so the forecast has no figures; null: none was made"
    )
    model_version: int | None = Field(description="of the model that made the forecast")
    predicted_at: AwareDatetime | None = Field(description="event time of the newest reading behind it")


class DeviceItem(DeviceState):
    """A device as lists show it, from the live table."""

    patterns: list[str]
    alerts: int = Field(description="how many stand")


class DevicePage(Reply):
    items: list[DeviceItem]
    total: int
    as_of: AwareDatetime | None = Field(description="the live table's age")
    cursor: str = Field(description="how far into the journals it reaches; a socket can go on from here")
    next: str | None = Field(description="pass as `after`; null on the last page")
    previous: str | None = Field(description="pass as `before`; null on the first page")


class Expected(Reply):
    low: float
    high: float


class ChannelValue(Reply):
    value: float | None
    unit: str
    time: AwareDatetime | None
    quality: Literal["GOOD", "STALE", "BAD"] | None = Field(description="null: never reported")
    expected: Expected | None = Field(
        description="mean ± 2 standard deviations of the device's own baseline, in the operating condition that it is in; "
        "null: not learned yet, or nothing that has a baseline"
    )


class PointsLost(Reply):
    channel: str
    indicator: str
    points: float


class PatternItem(Reply):
    model_config = ConfigDict(extra="allow", frozen=True)

    pattern: str
    channel: str


class Baseline(Reply):
    learned: bool
    readings: int


class AlertItem(Reply):
    id: str = Field(description="device, rule and occurrence, joined by colons")
    device_id: str
    type: str
    site: str
    rule: str
    title: str
    priority: Priority
    state: str = Field(description="of ISA-18.2: UNACK, ACKED, RTN_UNACK, LATCHED_UNACK, SHELVED, …")
    active: bool = Field(description="the condition holds")
    occurrence: int
    since: AwareDatetime | None
    value: float | None
    limit: float | None
    unit: str
    consequence: str
    response: str
    assignee: str | None
    acknowledged_by: str | None
    shelved_until: AwareDatetime | None
    comments: int


class DeviceDetail(DeviceState):
    """Everything the shard knows of one device, asked from it at this moment."""

    patterns: list[PatternItem]
    alerts: list[AlertItem] = Field(description="those that stand")

    type_version: int
    version: int = Field(description="commands that changed the device")
    values: dict[str, ChannelValue]
    breakdown: list[PointsLost] = Field(description="100 less these points is the health score")
    counts: dict[str, int] = Field(description="lines of readings, by what became of them")
    interval_s: float | None
    life_cycle: int
    regime: int
    baseline: Baseline
    desired_version: int = Field(description="of what is desired: it goes up with every change")
    properties: list[PropertyState] = Field(description="what they shall be, and what the device reports")
    open_commands: int = Field(description="sent, and neither answered nor expired")


class NewDevice(Request):
    id: Name
    type: Name
    site: Annotated[str, Field(max_length=256)] = ""
    parent: Name | None = None
    name: Annotated[str, Field(max_length=256)] = ""
    labels: Annotated[dict[Name, Annotated[str, Field(max_length=256)]], Field(max_length=64)] = {}
    interval_s: Annotated[float, Field(gt=0, le=86_400 * 366)] | None = None
    placement: Literal["shared", "dedicated"] = "shared"


class NewDevices(Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"devices": [{"id": "pump-17", "type": "centrifugal-pump", "site": "oslo"}]}]
        }
    )

    devices: Annotated[list[NewDevice], Field(min_length=1, max_length=20_000)]


class Registered(Reply):
    registered: int
    cursor: str


class Done(Reply):
    """A command that is durable."""

    cursor: str = Field(description="pass as `cursor` to a list, and it will include what was done")
