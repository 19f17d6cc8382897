"""Bodies of requests and replies: the public contract. No behaviour.

Requests refuse what they do not know. Times are ISO 8601, UTC; numbers are null where nothing is known.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, model_validator

from twins.alerts import MAX_SHELF_S

Text = Annotated[str, Field(max_length=2_000)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
PathText = Annotated[str, Field(min_length=1, max_length=4_096, pattern=r"^[^\x00]+$")]
Priority = Literal["critical", "high", "medium", "low"]
Status = Literal["reporting", "stale", "silent", "retired", "importing"]


class Request(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class Reply(BaseModel):
    """What a client is sent. Fields may be added, never repurposed."""

    model_config = ConfigDict(frozen=True)


# -- what goes wrong --------------------------------------------------------------------------


class Problem(Reply):
    """RFC 9457, with a stable ``code``; further members carry the facts."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:twinfold:problem:device.not_found",
                    "title": "No device with this id is registered in the fleet",
                    "status": 404,
                    "detail": "no device 'pump-99' in this fleet; register it or check the id",
                    "code": "device.not_found",
                    "device_id": "pump-99",
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    code: str


# -- device types -----------------------------------------------------------------------------


class ChannelInfo(Reply):
    name: str
    title: str
    unit: str = Field(description="UCUM code")
    kind: Literal["gauge", "counter", "state", "flag"]
    low: float | None = Field(description="below, a reading is BAD; null: no bound")
    high: float | None
    resolution: float
    condition: bool = Field(description="says what the device is asked to do; never held against it")


class RuleInfo(Reply):
    name: str
    title: str
    when: str
    priority: Priority
    consequence: str
    response: str
    latch: bool


class FailureModeInfo(Reply):
    name: str
    title: str


class ActionInfo(Reply):
    name: str
    title: str
    kind: Literal["inspection", "repair", "replacement"]
    cost: float
    duration_h: float


class TypeInfo(Reply):
    name: str
    version: int
    title: str
    description: str
    interval_s: float | None
    channels: list[ChannelInfo]
    rules: list[RuleInfo]
    failure_modes: list[FailureModeInfo]
    actions: list[ActionInfo]


class TypeVersion(Reply):
    number: int
    part: Literal["type", "rules"]
    hash: str
    source: Literal["built-in", "file", "edit", "hosts"] = Field(
        description="hosts: learned from what was in force"
    )
    by: str
    at: AwareDatetime
    why: str


class TypeVersionDetail(TypeVersion):
    document: Any = Field(description="the type without version and rules, or the list of its rules")


class TypeInstallation(Reply):
    """A pair of versions that was put in force, or was meant to be."""

    number: int = Field(description="the `version` that the type carries by it")
    version: int
    rules: int
    state: Literal["begun", "in_force", "failed", "torn"]
    problem: str
    by: str
    at: AwareDatetime
    why: str


class TypeStanding(Reply):
    """How a type stands. ``revision`` is its ETag."""

    name: str
    revision: int
    in_force: TypeInstallation | None
    staged_version: int | None
    staged_rules: int | None
    file: str | None = Field(description="name of the file that it is imported from at a start")
    file_version: int | None = Field(description="what that file said at the last start")
    file_rules: int | None


class TypeDetail(TypeInfo):
    standing: TypeStanding


class TypeVersions(TypeStanding):
    versions: list[TypeVersion] = Field(description="of the type, newest first")
    rules: list[TypeVersion] = Field(description="of its rules, newest first")
    installations: list[TypeInstallation] = Field(description="newest first, at most a hundred")


class Staged(TypeStanding):
    version: int | None = Field(description="the version that was staged; null: only rules were")
    rules: int | None


class TypeProblem(Reply):
    line: int
    problem: str
    remedy: str


class TypeChange(Reply):
    path: str = Field(description="as `vibration-high.when`")
    before: Any
    after: Any


class TypeCheck(Reply):
    """Whether a description could be put in force now, and what that would change."""

    valid: bool
    problems: list[TypeProblem]
    changes: list[TypeChange] = Field(description="against what is in force")


class TypeChanges(Reply):
    changes: list[TypeChange]


class Activation(Request):
    """Which versions to put in force; what is left out stays. Neither: what is staged."""

    version: int | None = Field(None, ge=1, le=2**31 - 1)
    rules: int | None = Field(None, ge=1, le=2**31 - 1)
    why: Annotated[str, Field(max_length=2_000, pattern=r"^[^\x00]*$")] = ""


# -- devices --------------------------------------------------------------------------------


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


class ChannelValue(Reply):
    value: float | None
    unit: str
    time: AwareDatetime | None
    quality: Literal["GOOD", "STALE", "BAD"] | None = Field(description="null: never reported")


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


class Maintenance(Request):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "repair", "action": "replace-bearing", "note": "noisy"}]}
    )

    kind: Literal["failure", "repair", "replacement", "inspection"]
    action: Name | None = None
    failure_mode: Name | None = None
    at: AwareDatetime | None = Field(None, description="when it was done; null: now")
    note: Text = ""


class Done(Reply):
    """A command that is durable."""

    cursor: str = Field(description="pass as `cursor` to a list, and it will include what was done")


# -- alerts --------------------------------------------------------------------------------


class AlertCounts(Reply):
    critical: int
    high: int
    medium: int
    low: int


class AlertPage(Reply):
    items: list[AlertItem]
    total: int
    counts: AlertCounts = Field(description="by priority, whatever priority was asked for")
    as_of: AwareDatetime | None
    next: str | None


class Note(Request):
    note: Text = ""


class Reason(Note):
    reason: Text = ""


class Shelving(Reason):
    model_config = ConfigDict(json_schema_extra={"examples": [{"duration_s": 3600, "reason": "sensor swap"}]})

    duration_s: Annotated[float, Field(gt=0, le=MAX_SHELF_S)] | None = None
    one_shot: bool = Field(False, description="until it next returns to normal, instead of a duration")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.one_shot == (self.duration_s is not None):
            raise ValueError("give either duration_s or one_shot")
        return self


class Assignment(Note):
    assignee: Annotated[str, Field(max_length=256)] = Field(description="empty: nobody any more")


class Comment(Note):
    note: Annotated[str, Field(min_length=1, max_length=2_000)]


class AlertMatch(Request):
    """Of the alerts that stand or are put aside, those that match all that is given; as in the list."""

    state: list[Name] = []
    priority: list[Priority] = []
    device: list[Name] = []
    type: list[Name] = []
    site: list[Annotated[str, Field(max_length=256)]] = []


class AlertCommands(Reason):
    """One thing asked of several alerts: of those named, or of all that match."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "command": "acknowledge",
                    "matching": {"site": ["oslo"], "state": ["UNACK"]},
                    "note": "storm",
                },
                {"command": "shelve", "alerts": ["pump-17:vibration-high:3"], "duration_s": 3600},
            ]
        }
    )

    command: Literal[
        "acknowledge", "reset", "shelve", "unshelve", "suppress", "unsuppress", "remove-from-service",
        "return-to-service", "assign", "comment",
    ]  # fmt: skip
    alerts: Annotated[list[Annotated[str, Field(max_length=1_000)]], Field(max_length=10_000)] | None = None
    matching: AlertMatch | None = None
    duration_s: Annotated[float, Field(gt=0, le=MAX_SHELF_S)] | None = Field(None, description="of a shelf")
    one_shot: bool = Field(False, description="shelve until each next returns to normal")
    assignee: Annotated[str, Field(max_length=256)] | None = None
    dry_run: bool = Field(False, description="only count")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.alerts is None) == (self.matching is None):
            raise ValueError("give either alerts or matching")
        if self.command == "shelve" and self.one_shot == (self.duration_s is not None):
            raise ValueError("give either duration_s or one_shot")
        if self.command == "assign" and self.assignee is None:
            raise ValueError("give the assignee; empty: nobody any more")
        if self.command == "comment" and not self.note:
            raise ValueError("give the note")
        return self


class AlertRefusal(Reply):
    alert: str
    code: str
    detail: str


class AlertsDone(Reply):
    matched: int
    done: int
    refused: list[AlertRefusal] = Field(description="the first hundred")
    refused_total: int
    cursor: str | None = Field(description="null where nothing was done")


# -- the fleet --------------------------------------------------------------------------------


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


# -- readings --------------------------------------------------------------------------------


class Reading(Request):
    device: Name
    time: str | int = Field(description="ISO 8601, or the epoch in ms or µs")
    values: dict[str, float | bool | None] = Field(description="by channel; null is a bad reading")


class Readings(Request):
    """Shown in the documentation; the body is read in columns, not through this model."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "readings": [
                        {
                            "device": "pump-17",
                            "time": "2026-01-31T12:00:00Z",
                            "values": {"vibration": 2.4, "flow": 118.0},
                        }
                    ]
                }
            ]
        }
    )

    type: str | None = Field(None, description="refuse devices of any other type")
    readings: list[Reading]


class RefusedReading(Reply):
    index: int = Field(description="position in the request")
    device: str | None
    code: str
    reason: str


class ReadingsTaken(Reply):
    accepted: dict[str, int] = Field(description="readings (lines) by what became of them")
    refused: list[RefusedReading] = Field(description="the first thousand")
    refused_total: int
    level: Literal["durable"]
    cursor: str


# -- the past --------------------------------------------------------------------------------


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


class DeviceEvents(Reply):
    items: list[EventItem] = Field(description="newest first")


class Flood(Reply):
    start: AwareDatetime
    end: AwareDatetime
    alerts: int


class RaisedBy(Reply):
    device_id: str
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
    share_of_time_in_flood: float
    worst_floods: list[Flood]
    chattering: list[RaisedBy] = Field(description="three times in a minute")
    stale: int = Field(description="standing for more than a day")
    bad_actors: list[BadActor]
    share_of_ten_worst: float | None
    acknowledged: int
    median_s_to_acknowledge: float | None
    p90_s_to_acknowledge: float | None


# -- the platform -----------------------------------------------------------------------------


class Healthy(Reply):
    status: Literal["ok"]


class HostInfo(Reply):
    name: str
    state: str = Field(description="ready, degraded, fenced or closed; away: it does not answer")
    reason: str
    node: str = Field(description="address of the machine that it runs on; empty: not known")
    folder: str = Field(description="data folder that it lives in, where a cluster has several")
    devices: int
    cursor: int | None = Field(description="newest journal entry; null: not known")
    archived: int | None = Field(description="how far history reaches; null: nothing follows")
    journal_bytes: int | None
    damage: list[str]


class Readiness(Reply):
    ready: bool
    as_of: AwareDatetime | None
    hosts: list[HostInfo]


# -- the socket -------------------------------------------------------------------------------


class Subscribe(Request):
    """What a client wants to be told; sent again, it takes the place of what was wanted before."""

    type: Literal["subscribe"]
    topics: Annotated[list[Literal["fleet", "alerts", "devices"]], Field(max_length=3)]
    devices: Annotated[list[Name], Field(max_length=500)] = []
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


class Update(Reply):
    fleet: FleetSummary | None = None
    devices: DeviceColumns | None = None


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
    state: str | None = Field(description="null where too many changed at once: fetch the list")  # type: ignore[assignment]
    event: AlertEvent


class AlertChanged(Reply):
    type: Literal["ALERT_CHANGED"]
    seq: int
    cursor: str
    data: ChangedAlert


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
    Hello | DataUpdate | NewAlert | AlertChanged | Gap | Heartbeat, Field(discriminator="type")
]


# -- accounts ---------------------------------------------------------------------------------

Role = Literal["viewer", "operator", "engineer", "admin"]
AccountName = Annotated[str, Field(min_length=1, max_length=100, description="letters, digits and . @ + - _")]
Password = Annotated[SecretStr, Field(min_length=1, max_length=256)]
Code = Annotated[str, Field(max_length=10, description="six digits of an authenticator app")]


class Login(Request):
    """Name and password; with ``session`` browser a cookie is set, with program tokens are given."""

    name: Annotated[AccountName, Field(validation_alias=AliasChoices("name", "username"))]
    password: Password
    code: Code | None = None
    session: Literal["program", "browser"] = "program"


class Refresh(Request):
    refresh_token: Annotated[str, Field(min_length=1, max_length=200)]


class Registration(Request):
    """For an account of one's own, where that is open or one was invited."""

    name: Annotated[AccountName, Field(validation_alias=AliasChoices("name", "username"))]
    password: Password
    invitation: Annotated[str | None, Field(max_length=100)] = None


class Invitation(Request):
    role: Role


class NewAccount(Request):
    name: AccountName
    role: Role


class AccountChange(Request):
    """What is left out stays."""

    role: Role | None = None
    disabled: bool | None = None


class PasswordChange(Request):
    old: Password
    new: Password


class SecondFactor(Request):
    code: Code


class Confirmation(Request):
    password: Password


class AccountItem(Reply):
    name: str
    role: Role
    disabled: bool
    must_change: bool
    totp: bool
    made: str


class AccountList(Reply):
    items: list[AccountItem]


class LoggedIn(Reply):
    """``access_token`` and what follows are for programs; browsers have their cookie."""

    account: AccountItem
    access_token: str | None = None
    token_type: Literal["bearer"] | None = None
    expires_in: int | None = None
    refresh_token: str | None = None


class Me(Reply):
    """Who asks. ``session`` is null for this machine's own commands."""

    name: str
    role: Role
    must_change: bool
    totp: bool
    session: str | None


class OneTime(Reply):
    """A password for one use, to be handed over; it is not shown again."""

    account: AccountItem
    password: str


class Invited(Reply):
    invitation: str


class TotpSecret(Reply):
    secret: str
    uri: str


class SessionItem(Reply):
    id: str
    kind: Literal["browser", "program"]
    made: str
    seen: str
    address: str
    agent: str
    is_this: bool


class SessionList(Reply):
    items: list[SessionItem]


class KeyScope(Request):
    """What a device must be for the key to write its readings: all of what is named, or ``everything``."""

    devices: list[Name] = []
    gateways: list[Name] = []
    sites: list[Name] = []
    types: list[Name] = []
    everything: bool = False


class NewKey(Request):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    scope: KeyScope
    lasts_s: Annotated[float | None, Field(gt=0, le=10 * 366 * 86_400)] = None


class KeyRotation(Request):
    overlap_s: Annotated[float, Field(ge=0, le=90 * 86_400)] = 86_400.0


class KeyItem(Reply):
    id: str
    name: str
    scope: KeyScope
    by: str
    made: str
    expires: str | None
    revoked: str | None
    used: str | None
    old_until: str | None


class KeyList(Reply):
    items: list[KeyItem]
    next: str | None


class KeyMade(Reply):
    """The key itself; it is not shown again."""

    key: KeyItem
    text: str


class AuditItem(Reply):
    number: int
    at: str
    by: str
    address: str
    what: str
    subject: str
    detail: dict[str, Any]
    hash: str


class AuditPage(Reply):
    items: list[AuditItem]
    next: int | None


class NewImport(Request):
    """Paths on the platform's own machine."""

    mapping: PathText
    files: Annotated[list[PathText], Field(min_length=1, max_length=100_000)]
    live: bool = False


class JobItem(Reply):
    id: str
    kind: str
    by: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float | None = Field(description="0 to 1; null where it cannot be told")
    message: str
    code: str = Field(description="of the problem that it failed with; else empty")
    created: str | None
    started: str | None
    ended: str | None
    attempts: int
    cancelling: bool
    version: int = Field(description="rises with every change")
    request: dict[str, Any]
    result: dict[str, Any] | None


class JobList(Reply):
    items: list[JobItem]


# -- notifications ----------------------------------------------------------------------------

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


class DeliveryPage(Reply):
    items: list[DeliveryItem]
    next: int | None


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
