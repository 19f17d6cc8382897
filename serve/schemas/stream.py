"""The messages of the operators' socket."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from serve.schemas.base import Name, Reply, Request, Status
from serve.schemas.devices import AlertItem
from serve.schemas.fleet import FleetSummary
from serve.schemas.history import EventItem
from serve.schemas.jobs import JobItem

Topic = Literal["fleet", "alerts", "devices", "page", "jobs"]


class PageWish(Request):
    """The first lines of a list of devices, in the words of ``GET /api/devices``."""

    filter: Annotated[str, Field(max_length=4_000)] = ""
    q: Annotated[str, Field(max_length=200)] = ""
    sort: Annotated[str, Field(max_length=40)] = "id"
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class Subscribe(Request):
    """What a client wants to be told; sent again, it takes the place of what was wanted before."""

    type: Literal["subscribe"]
    topics: Annotated[list[Topic], Field(max_length=5)]
    devices: Annotated[list[Name], Field(max_length=500)] = []
    page: PageWish = PageWish()
    cursor: Annotated[str, Field(max_length=8_192)] | None = None


class Hello(Reply):
    type: Literal["hello"]
    cursor: str


class DeviceColumns(Reply):
    """The watched devices; all columns have one length."""

    id: list[str]
    status: list[Status]
    health: list[float | None]
    anomaly_score: list[float | None]
    alerts: list[int]
    event_time: list[int | None] = Field(description="ms since the epoch")
    values: dict[str, list[float | None]]


class PageColumns(DeviceColumns):
    """The page that was asked for, in its order."""

    as_of: AwareDatetime = Field(
        description="when it was listed: where many pages are watched, they take turns"
    )
    total: int = Field(description="how many devices the filter lets through")


class Update(Reply):
    fleet: FleetSummary | None = None
    devices: DeviceColumns | None = None
    page: PageColumns | None = None


class DataUpdate(Reply):
    type: Literal["data_update"]
    seq: int
    cursor: str
    data: Update


class NewAlert(Reply):
    type: Literal["NEW_ALERT"]
    seq: int
    cursor: str
    data: AlertItem


class AlertEvent(EventItem):
    """What happened to the alert."""


class ChangedAlert(AlertItem):
    # mypy wants no wider field than the one it overrides; here null is a state that was not asked for
    state: str | None = Field(description="null where too many changed at once: fetch the list")  # type: ignore[assignment]
    event: AlertEvent


class AlertChanged(Reply):
    type: Literal["ALERT_CHANGED"]
    seq: int
    cursor: str
    data: ChangedAlert


class JobChanged(Reply):
    """How far a job is by now; of one that changes often, the latest."""

    type: Literal["JOB_CHANGED"]
    seq: int
    data: JobItem


class Gap(Reply):
    """Messages were left out: fetch the lists again."""

    type: Literal["gap"]
    seq: int
    missed: int = Field(description="at least so many messages, or journal entries")


class Heartbeat(Reply):
    type: Literal["heartbeat"]
    seq: int
    at: AwareDatetime


ServerMessage = Annotated[
    Hello | DataUpdate | NewAlert | AlertChanged | JobChanged | Gap | Heartbeat, Field(discriminator="type")
]
