"""Recommendations: what to do about a device, why, and what it would make good."""

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.config import JsonDict

from serve.schemas.base import Priority, Reply

_RECOMMENDATION: Final[JsonDict] = {
    "id": "pump-17:bearing-wear", "device_id": "pump-17", "type": "centrifugal-pump", "site": "oslo",
    "failure_mode": "bearing-wear", "title": "Rolling bearing wear", "confidence": "likely", "priority": "high",
    "health": 41.5, "since": "2026-01-31T11:20:00.000Z",
    "why": [
        {"kind": "alert", "alert": "pump-17:vibration-high:3", "rule": "vibration-high", "title": "Vibration in zone C",
         "priority": "high", "state": "UNACK", "since": "2026-01-31T11:20:00.000Z", "value": 4.4,
         "limit": 4.0, "unit": "mm/s",
         "consequence": "Bearing damage within weeks.", "response": "Plan a bearing inspection within 14 days."},
        {"kind": "pattern", "pattern": "drift", "channel": "bearing_temperature"},
    ],
    "actions": [
        {"name": "replace-bearings", "title": "Replace both bearings", "kind": "replacement", "cost": 1900.0,
         "duration_h": 6.0, "crew": 2, "spares": {"bearing-set": 1}, "resets": 1.0}
    ],
}  # fmt: skip


class AlertSign(Reply):
    """An alert that it rests on, with what the rule says of it."""

    kind: Literal["alert"]
    alert: str
    rule: str
    title: str
    priority: Priority
    state: str
    since: AwareDatetime | None
    value: float | None
    limit: float | None
    unit: str
    consequence: str
    response: str


class PatternSign(Reply):
    """A pattern that it rests on."""

    kind: Literal["pattern"]
    pattern: str
    channel: str


class AdvisedAction(Reply):
    name: str = Field(description="pass as `action` to the device's maintenance once it is done")
    title: str
    kind: Literal["inspection", "repair", "replacement"]
    cost: float
    duration_h: float
    crew: int
    spares: dict[str, int]
    resets: float | None = Field(description="the share of the failure mode's damage that it makes good")


class Recommendation(Reply):
    model_config = ConfigDict(json_schema_extra={"examples": [_RECOMMENDATION]})

    id: str
    device_id: str
    type: str
    site: str
    failure_mode: str | None = Field(description="null: none of the type explains what is seen")
    title: str | None = Field(description="of the failure mode")
    confidence: Literal["likely", "possible", "doubtful", "unknown"] = Field(
        description="likely: it alone explains all that stands out, on two channels or more; possible: it explains all,"
        " but that is one channel, or others would, too; doubtful: something is left over; unknown: none explains it"
    )
    priority: Priority | None = Field(description="of the most urgent alert that it rests on; null: no alert")
    health: float | None
    since: AwareDatetime | None = Field(description="when the first of those alerts was raised")
    why: list[Annotated[AlertSign | PatternSign, Field(discriminator="kind")]]
    actions: list[AdvisedAction] = Field(
        description="the best first; empty: do what the responses under `why` say"
    )


class RecommendationPage(Reply):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [_RECOMMENDATION],
                    "total": 1,
                    "as_of": "2026-01-31T12:00:00.000Z",
                    "next": "WyI5YzFmIiwxXQ",
                    "previous": "WyI5YzFmIiwwXQ",
                }
            ]
        }
    )

    items: list[Recommendation]
    total: int
    as_of: AwareDatetime | None = Field(description="the live table's age")
    next: str | None = Field(description="pass as `after`; null on the last page")
    previous: str | None = Field(description="pass as `before`; null on the first page")


class DeviceRecommendations(Reply):
    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_RECOMMENDATION]}]})

    items: list[Recommendation]
