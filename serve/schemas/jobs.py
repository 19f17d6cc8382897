"""Jobs and what begins them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from serve.schemas.base import ListReply, PathText, Reply, Request


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


class JobList(ListReply):
    items: list[JobItem]
