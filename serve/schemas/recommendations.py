"""Recommendations: what to do about a device, why, and what it would make good."""

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.config import JsonDict

from serve.schemas.base import Name, Priority, Reply, Request, Text
from serve.schemas.maintenance import MaintenanceKind

Outcome = Literal["fault_confirmed", "no_fault_found", "other"]

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
        {"kind": "prognosis", "failure_mode": "bearing-wear", "share": 0.81, "p_fail_24h": 0.04, "p_fail_7d": 0.38,
         "p_fail_30d": 0.87, "rul_p05_h": 40.0, "rul_p50_h": 310.0, "rul_p95_h": 900.0, "model_version": 4,
         "predicted_at": "2026-01-31T11:55:00.000Z"},
    ],
    "actions": [
        {"name": "replace-bearings", "title": "Replace both bearings", "kind": "replacement", "cost": 1900.0,
         "duration_h": 6.0, "crew": 2, "spares": {"bearing-set": 1}, "resets": 1.0,
         "now": 7300.0, "later": 8205.37}
    ],
    "planned": "replace-bearings",
    "costs": {"nothing": 25969.5, "later": 8205.37, "now": 7300.0, "later_at": "2026-02-01T11:55:00.000Z",
              "horizon_days": 30},
    "stake": 18669.5, "due": "2026-02-06T08:11:42.000Z",
    "confirmed": 0.8333,
    "decision": {"state": "accepted", "by": "kari", "at": "2026-01-31T12:10:00.000Z", "note": "on Tuesday",
                 "accepted_by": "kari", "accepted_at": "2026-01-31T12:10:00.000Z", "action": "replace-bearings"},
}  # fmt: skip
_CASES: Final[JsonDict] = {
    "count": 6, "failed": 2, "warned": 2, "warning_h": 310.5,
    "newest": [{"record": "host-0.4711.0", "device_id": "pump-9", "kind": "failure",
                "at": "2025-11-02T07:00:00.000Z", "note": "seized"}],
}  # fmt: skip

_SIMULATION: Final[JsonDict] = {
    "id": "pump-17:bearing-wear", "device_id": "pump-17", "action": "replace-bearings",
    "made": "2026-01-31T12:00:00.000Z", "futures": 200, "level": 0.9, "horizon_days": 30,
    "later_at": "2026-02-01T12:00:00.000Z",
    "nothing": {"cost": {"value": 24810.0, "low": 23655.2, "high": 25964.8},
                "fails": {"value": 0.84, "low": 0.794, "high": 0.879}, "difference": None, "better": None},
    "later": {"cost": {"value": 8420.5, "low": 7911.3, "high": 8929.7},
              "fails": {"value": 0.055, "low": 0.033, "high": 0.087},
              "difference": {"value": -16389.5, "low": -17588.0, "high": -15191.0}, "better": 0.84},
    "now": {"cost": {"value": 7452.0, "low": 7280.8, "high": 7623.2},
            "fails": {"value": 0.005, "low": 0.001, "high": 0.02},
            "difference": {"value": -17358.0, "low": -18529.5, "high": -16186.5}, "better": 0.84},
    "why_not": None,
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


class PrognosisSign(Reply):
    """A forecast that it rests on, and its costs."""

    kind: Literal["prognosis"]
    failure_mode: str | None = Field(description="the likeliest; null: the model tells none apart")
    share: float | None = Field(description="of failures by that mode; null in lists")
    p_fail_24h: float = Field(description="probability of failure within 24 hours")
    p_fail_7d: float
    p_fail_30d: float
    rul_p05_h: float | None = Field(description="so long it lasts with 95 of 100; as the others, h")
    rul_p50_h: float | None
    rul_p95_h: float | None
    model_version: int | None
    predicted_at: AwareDatetime | None


class ExpectedCosts(Reply):
    """What it is expected to cost within the horizon, in the fleet's currency: the act, and failures that come first."""

    nothing: float
    later: float = Field(description="at the best time from tomorrow on")
    now: float
    later_at: AwareDatetime | None = Field(description="that time; null: put off beyond the horizon")
    horizon_days: int


class AdvisedAction(Reply):
    name: str = Field(description="pass as `action` to the device's maintenance once it is done")
    title: str
    kind: Literal["inspection", "repair", "replacement"]
    cost: float
    duration_h: float
    crew: int
    spares: dict[str, int]
    resets: float | None = Field(description="the share of the failure mode's damage that it makes good")
    now: float | None = Field(description="expected cost of doing it now; null: nothing is forecast")
    later: float | None = Field(description="the same of its best time from tomorrow on")


class DecisionItem(Reply):
    """What was decided about a recommendation."""

    state: Literal["accepted", "dismissed", "done"]
    by: str
    at: AwareDatetime
    note: str = Field(description="of one that was dismissed: why")
    until: AwareDatetime | None = Field(
        None, description="until when it is dismissed; null: until something new speaks for it"
    )
    accepted_by: str | None
    accepted_at: AwareDatetime | None
    action: str | None = Field(description="that was recommended, or, once it is done, was done")
    outcome: Outcome | None = Field(None, description="once it is done")


class Recommendation(Reply):
    model_config = ConfigDict(json_schema_extra={"examples": [_RECOMMENDATION]})

    id: str
    device_id: str
    type: str
    site: str
    failure_mode: str | None = Field(description="null: none of the type explains what is seen")
    title: str | None = Field(description="of the failure mode")
    confidence: Literal["likely", "possible", "doubtful", "unknown"] = Field(
        description="likely: it alone explains all that stands out, on two channels or more, or a forecast names it, too;"
        " possible: it explains all, but that is one channel, or others would, too, or it is but forecast; doubtful:"
        " something is left over; unknown: none explains it"
    )
    priority: Priority | None = Field(description="of the most urgent alert that it rests on; null: no alert")
    health: float | None
    since: AwareDatetime | None = Field(description="when the first of those alerts was raised")
    why: list[Annotated[AlertSign | PatternSign | PrognosisSign, Field(discriminator="kind")]]
    actions: list[AdvisedAction] = Field(
        description="the best first; empty: do what the responses under `why` say"
    )
    planned: str | None = Field(description="the action that `costs` are of; null: none makes it good")
    costs: ExpectedCosts | None = Field(description="null: nothing is forecast of this failure mode")
    stake: float | None = Field(description="nothing less the better of later and now")
    due: AwareDatetime | None = Field(
        description="when waiting is expected to have cost as much as the act; null: nothing is gained by it"
    )
    confirmed: float = Field(
        description="the share of such recommendations that were right so far; one half before the first"
    )
    decision: DecisionItem | None = Field(description="that stands; null: it is open")


class PastCase(Reply):
    record: str = Field(description="of maintenance")
    device_id: str
    kind: MaintenanceKind
    action: str | None = None
    at: AwareDatetime
    note: str


class PastCases(Reply):
    """What history has of a failure mode, of all devices of the type: failures under it, and work that forestalled one."""

    count: int
    failed: int
    warned: int = Field(description="failures that an alert of the mode's rules had told of")
    warning_h: float | None = Field(description="from the first such alert to the failure, the median, h")
    newest: list[PastCase]


class RecommendationDetail(Recommendation):
    model_config = ConfigDict(json_schema_extra={"examples": [{**_RECOMMENDATION, "cases": _CASES}]})

    cases: PastCases | None = Field(description="null: the failure mode is not known")


class SimulatedFigure(Reply):
    """An expected value with its interval."""

    value: float
    low: float
    high: float


class SimulatedOption(Reply):
    """What one of the three comes to in the device's futures."""

    cost: SimulatedFigure = Field(description="within the horizon, in the fleet's currency")
    fails: SimulatedFigure = Field(description="the chance that the device fails within the horizon")
    difference: SimulatedFigure | None = Field(
        default=None,
        description="the cost less that of doing nothing, future by future; null of nothing itself",
    )
    better: float | None = Field(
        default=None, description="the share of futures in which it costs less than nothing"
    )


class RecommendationSimulation(Reply):
    """What doing nothing, later and now come to in futures of the device as it is, rather than by the formula."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SIMULATION]})

    id: str
    device_id: str
    action: str | None = Field(description="that is done later or now; null: none makes it good")
    made: AwareDatetime = Field(description="when the device was forked")
    futures: int = Field(description="that were run; 0: see `why_not`")
    level: float = Field(description="of all intervals")
    horizon_days: int
    later_at: AwareDatetime | None = Field(description="when later is; null: put off beyond the horizon")
    nothing: SimulatedOption | None
    later: SimulatedOption | None
    now: SimulatedOption | None
    why_not: str | None = Field(
        default=None, description="why the device cannot be run forward; null: it was"
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


class Acceptance(Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "on Tuesday"}]})

    note: Text = ""


class Dismissal(Request):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "the sensor is loose, not the bearing"}]}
    )

    reason: Annotated[str, Field(min_length=1, max_length=2_000)]
    until: AwareDatetime | None = Field(
        None, description="when it is to be shown again; null: once something new speaks for it"
    )


class Finished(Request):
    """What was done and found. It is recorded as maintenance, under the failure mode if that was confirmed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"outcome": "fault_confirmed", "action": "replace-bearings", "note": "outer race pitted"},
                {"outcome": "no_fault_found"},
            ]
        }
    )

    outcome: Outcome
    action: Name | None = Field(None, description="of the type's actions; null: it was looked at, no more")
    note: Text = ""


class Decided(Reply):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": "pump-17:bearing-wear", "decision": _RECOMMENDATION["decision"]}]
        }
    )

    id: str
    decision: DecisionItem
    cursor: str | None = Field(
        None, description="of what was recorded; null: nothing was, or it had been before"
    )


class RecordItem(Reply):
    """What came of decisions about one failure mode of one type."""

    type: str
    failure_mode: str | None = Field(description="null: none that is known")
    title: str | None = Field(description="of the failure mode")
    decisions: int
    hits: int = Field(description="what was recommended was found")
    false: int = Field(description="nothing was found, and the device did not fail within 30 days")
    missed: int = Field(
        description="the device failed within 30 days, of what was dismissed or not done in time"
    )
    unclear: int
    pending: int
    confirmed: float = Field(description="the share that were right: the mean of Beta(1 + right, 1 + wrong)")
    expected_cost: float | None = Field(description="of those of which both are known; null: there are none")
    actual_cost: float | None


class RecommendationRecord(Reply):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {"type": "centrifugal-pump", "failure_mode": "bearing-wear", "title": "Rolling bearing wear",
                         "decisions": 7, "hits": 4, "false": 1, "missed": 1, "unclear": 0, "pending": 1,
                         "confirmed": 0.8571, "expected_cost": 44500.0, "actual_cost": 52100.0}
                    ]
                }
            ]
        }
    )  # fmt: skip

    items: list[RecordItem]
