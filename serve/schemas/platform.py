"""How the platform itself is."""

from typing import Literal

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


class Readiness(Reply):
    ready: bool
    as_of: AwareDatetime | None
    hosts: list[HostInfo]
