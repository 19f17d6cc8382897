"""What all bodies share, and the one body of what goes wrong."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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


class ListReply(Reply):
    """A page of a list that goes by keys; its lines are ``items``."""

    total: int
    next: str | None = Field(description="pass as `after`; null on the last page")
    previous: str | None = Field(description="pass as `before`; null on the first page")


class Refusal(Reply):
    """One of many that something was not done to, and why not."""

    code: str
    detail: str


class ManyDone(Reply):
    """What became of one thing that was asked of many."""

    matched: int
    done: int
    refused_total: int
    cursor: str | None = Field(description="null where nothing was done")


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
