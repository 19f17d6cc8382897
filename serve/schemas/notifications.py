"""Notifications: channels, routes, deliveries."""

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from serve.schemas.base import ListReply, Name, Priority, Reply, Request

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Printable = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Secret = Annotated[SecretStr, Field(min_length=1, max_length=2_000)]
Mailboxes = Annotated[list[Annotated[str, Field(max_length=254)]], Field(max_length=50)]


class ChannelChange(Request):
    """A channel: ``url`` or ``to`` say where it leads, and are left out where that stays. ``account``: whose it is."""

    name: Printable
    account: Annotated[str, Field(max_length=100)] = ""
    enabled: bool = True
    url: Secret | None = None
    to: Mailboxes | None = None
    new_key: Annotated[bool, Field(description="of a webhook: sign with another key from now on")] = False


class NewChannel(Request):
    """A webhook or an Apprise service has a ``url``, e-mail goes ``to`` addresses."""

    name: Printable
    kind: Literal["webhook", "email", "apprise"]
    account: Annotated[
        str, Field(max_length=100, description="whose it is, so that roles and people can be named")
    ] = ""
    url: Secret | None = None
    to: Mailboxes = []

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if (self.kind == "email") != bool(self.to) or (self.kind == "email") == (self.url is not None):
            raise ValueError("give `to` for email, and `url` for webhook and apprise")
        return self


class ChannelItem(Reply):
    id: str
    name: str
    kind: Literal["webhook", "email", "apprise"]
    leads_to: str = Field(description="without what is secret in it")
    account: str
    enabled: bool
    revision: int
    by: str
    changed: str


class ChannelList(Reply):
    items: list[ChannelItem]


class ChannelMade(Reply):
    """``key``: with which a webhook's messages are signed; it is not shown again."""

    channel: ChannelItem
    key: str | None


class Hours(Request):
    """Some hours of some days, in the route's time zone; an ``end`` at or before ``start`` is on the next day."""

    days: Annotated[list[Day], Field(max_length=7, description="of `start`; none: every day")] = []
    start: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["22:00"])]
    end: Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", examples=["06:00"])]


class RouteStep(Request):
    """Whom to tell so long after an alert was raised, if nobody has acknowledged it."""

    after_s: Annotated[float, Field(ge=0, le=7 * 86_400)] = 0.0
    to: Annotated[
        list[Annotated[str, Field(max_length=120, examples=["role:operator", "account:ann"])]],
        Field(min_length=1, max_length=50, description="`channel:ID`, `account:NAME` or `role:ROLE`"),
    ]


class NotificationRoute(Request):
    """Which alerts are told to whom, and when."""

    name: Printable
    enabled: bool = True
    priority: Annotated[Priority, Field(description="the least urgent that is told")] = "low"
    sites: Annotated[list[Name], Field(max_length=1_000)] = []
    types: Annotated[list[Name], Field(max_length=1_000)] = []
    rules: Annotated[list[Name], Field(max_length=1_000)] = []
    zone: Annotated[str, Field(max_length=60, examples=["Europe/Oslo"])] = "UTC"
    schedule: Annotated[
        list[Hours], Field(max_length=20, description="when it is in force; none: always")
    ] = []
    quiet: Annotated[
        list[Hours], Field(max_length=20, description="what can wait is summed up after these")
    ] = []
    quiet_priority: Annotated[Priority, Field(description="what cannot wait")] = "critical"
    repeat_s: Annotated[
        float, Field(ge=0, le=7 * 86_400, description="raised again so soon, it is not told again")
    ] = 600.0
    until: Annotated[
        Literal["acknowledged", "returned"],
        Field(description="what ends it: acting, or also a cleared condition"),
    ] = "acknowledged"
    steps: Annotated[list[RouteStep], Field(min_length=1, max_length=10)]


class NotificationRouteItem(NotificationRoute):
    id: str
    revision: int
    by: str
    changed: str


class NotificationRouteList(Reply):
    items: list[NotificationRouteItem]


class DeliveryItem(Reply):
    id: str
    number: int
    kind: Literal["alert", "escalation", "flood", "flood_continues", "flood_over", "held", "test"]
    route: str
    step: int = Field(description="1 for the first")
    channel: str
    alert: str = Field(description="empty where it is about many")
    state: Literal["waiting", "delivered", "failed"]
    attempts: int
    made: str
    due: str = Field(description="of the next attempt, or the last")
    ended: str | None
    said: str = Field(description="what the receiver said last")
    subject: str
    count: int


class DeliveryPage(ListReply):
    items: list[DeliveryItem]


class ChannelTested(Reply):
    took: bool
    said: str
    delivery: DeliveryItem


class FollowedItem(Reply):
    host: str
    cursor: int
    at: str
    problem: str = Field(description="what keeps its alerts from being told; empty: nothing")


class NotificationSummary(Reply):
    deliveries: dict[str, int] = Field(description="by state")
    hosts: list[FollowedItem]
