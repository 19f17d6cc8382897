"""How the platform itself is."""

from typing import Any, Literal

from pydantic import AwareDatetime, Field

from serve.schemas.base import Reply


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


class PartInfo(Reply):
    name: str
    state: Literal["ready", "starting", "behind", "away"] = Field(
        description="behind: it runs and does not get on, for `reason`; away: it does not answer"
    )
    reason: str
    facts: dict[str, Any] = Field(description="numbers and states of its own")


class TableInfo(Reply):
    name: str
    files: int
    rows: int
    bytes: int


class Storage(Reply):
    free_bytes: int
    total_bytes: int
    tables: list[TableInfo] = Field(description="of history")


class SystemInfo(Reply):
    software: dict[str, str] = Field(description="versions, by name")
    encrypted: bool = Field(description="whether what is written is encrypted")
    services: list[PartInfo]
    applications: list[PartInfo]
    storage: Storage


class Readiness(Reply):
    ready: bool
    as_of: AwareDatetime | None
    hosts: list[HostInfo]
