"""Device types and their rules: what they say, their versions, what a change would do."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from serve.schemas.base import Priority, Reply, Request
from serve.schemas.downlink import CommandInfo, PropertyInfo


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
    properties: list[PropertyInfo] = Field(description="what its devices can be asked to be")
    commands: list[CommandInfo] = Field(description="what its devices can be asked to do")


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
