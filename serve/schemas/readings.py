"""Readings that come in, and what became of each."""

from typing import Literal

from pydantic import ConfigDict, Field

from serve.schemas.base import Name, Reply, Request


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
