"""Alerts, the commands to them, one or many."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from serve.many import MOST_AT_ONCE
from serve.schemas.base import ManyDone, Name, Priority, Refusal, Reply, Request, Text
from serve.schemas.devices import AlertItem
from twins.alerts import MAX_SHELF_S


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
    next: str | None = Field(description="pass as `after`; null on the last page")
    previous: str | None = Field(description="pass as `before`; null on the first page")


class AlertGroup(Reply):
    """Alerts that have something in common."""

    rule: str | None = Field(
        description="of all of them; null: they are not grouped by it. So for the next three"
    )
    type: str | None
    site: str | None
    device_id: str | None
    total: int
    unacknowledged: int
    devices: int
    counts: AlertCounts
    first: AlertItem = Field(description="the first-out: which of them was raised first")


class AlertGroups(Reply):
    items: list[AlertGroup] = Field(description="the most urgent first, then the largest; no more than 500")
    groups: int
    total: int = Field(description="alerts in all groups")
    as_of: AwareDatetime | None


class NotesNeeded(Reply):
    """Priorities of alerts that take a note, by what is done to them."""

    acknowledge: list[Priority]
    reset: list[Priority]
    shelve: list[Priority]
    suppress: list[Priority] = Field(description="and taken out of service")


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
    filter: Annotated[str, Field(max_length=4_000)] = Field("", description="as `rule = 'vibration-high'`")


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
    alerts: (
        Annotated[list[Annotated[str, Field(max_length=1_000)]], Field(max_length=MOST_AT_ONCE)] | None
    ) = None
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


class AlertRefusal(Refusal):
    alert: str


class AlertsDone(ManyDone):
    refused: list[AlertRefusal] = Field(description="the first hundred")
