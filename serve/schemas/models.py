"""Versions of trained models: what they were trained on, how well they did, and which is in force."""

from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from serve.schemas.base import ListReply, Reply, Request, Text
from serve.schemas.rehearsals import Rehearsal


class ModelItem(Reply):
    """A version in a list. Metrics are of devices that no part of the model has seen; what was not measured is not there."""

    type: str
    version: int
    role: Literal["champion", "challenger", "retired"] = Field(
        description="champion: in force; challenger: newer than that, and never in force"
    )
    by: str = Field(description="who had it trained")
    created: AwareDatetime
    failures: int | None = Field(description="that it learned from")
    metrics: dict[str, float] = Field(
        description="`brier`, `concordance`, `coverage_90`, `rmse_h`; of one forecast for all devices `brier_constant` and "
        "`rmse_constant_h`; of how many `rows`, `devices` and `failures`; of what tells devices unlike healthy ones "
        "`healthy_devices`, `false_unlike`, `unlike_at_failure`, `unlike_lead_h`",
        examples=[{"brier": 0.081, "concordance": 0.84, "coverage_90": 0.89, "rmse_h": 71.5}],
    )


class ModelList(ListReply):
    items: list[ModelItem]


class ReliabilityPoint(Reply):
    """Forecasts of about one probability: what was forecast, the share that failed, and how many there were."""

    predicted: float
    observed: float
    count: int


class CoveragePoint(Reply):
    """The share of true lives in an interval that should hold the share ``nominal``."""

    nominal: float
    observed: float


class ForecastPoint(Reply):
    """What was forecast where about ``true_h`` was left: median and 5 and 95 % quantiles of the remaining life, h."""

    true_h: float
    p05_h: float
    p50_h: float
    p95_h: float
    count: int


class Calibration(Reply):
    """Whether what a model says comes about as often as it says."""

    reliability: dict[str, list[ReliabilityPoint]] = Field(
        description="by horizon in hours",
        examples=[{"24": [{"predicted": 0.1, "observed": 0.12, "count": 40}]}],
    )
    coverage: list[CoveragePoint]
    forecast: list[ForecastPoint]


class ModelChange(Reply):
    """One version took the place of another."""

    version: int
    former: int | None = Field(description="the one in force before; null: none was")
    act: Literal["promoted", "rolled_back"]
    by: str
    at: AwareDatetime
    reason: str


class ModelChanges(Reply):
    """Those that are remembered, the newest first."""

    changes: list[ModelChange]


class ModelDetail(ModelItem):
    type_version: int
    trained_until: AwareDatetime = Field(description="nothing after it was used")
    data: dict[str, int] = Field(
        description="the Delta version of each table that it was trained on", examples=[{"events": 17}]
    )
    features: list[str]
    failure_modes: list[str]
    parameters: dict[str, Any]
    calibration: Calibration
    sha256: str = Field(description="of its arrays")


class ModelFigure(Reply):
    """A metric side by side; null: it was not measured."""

    name: str
    champion: float | None
    challenger: float | None


class ComparedPeriod(Reply):
    """The moments that two versions were compared on, later than everything that either was trained on."""

    since: AwareDatetime
    until: AwareDatetime
    horizon_h: float = Field(description="how far ahead of each was judged, h", examples=[168.0])


class ModelComparison(Reply):
    """Whether a version should take the place of another."""

    type: str
    champion: int | None = Field(description="the version that is to be beaten; null: one forecast for all")
    challenger: int
    better: bool
    comparable: bool = Field(
        description="false where they were not measured on the same devices, and so neither is better"
    )
    reasons: list[str]
    figures: list[ModelFigure]
    held_out: Literal["identity", "identity_and_time"] | None = Field(
        description="how what they were measured on was held out: `identity`, each device from the trees that judge it; "
        "`identity_and_time`, also moments after everything that either was trained on; null: it was not the same"
    )
    held_out_why: str = Field(
        description="why not in time, too; empty: it was",
        examples=["Only 4 failures came after what both could have been trained on, and comparing takes 10."],
    )
    period: ComparedPeriod | None = Field(description="of `identity_and_time`")


class DriftBin(Reply):
    """Devices whose probability to fail within a week is up to ``upto`` and above that of the bin before; null: any."""

    upto: float | None
    first: int
    now: int


class ModelDrift(Reply):
    """Whether the version in force still fits the devices that it is asked about."""

    type: str
    version: int | None = Field(description="null: none is in force, or it has not been asked yet")
    since: AwareDatetime | None = Field(
        description="when it could first speak of most devices; what it says now is held against that"
    )
    at: AwareDatetime | None = Field(description="when it was last asked about all of them")
    devices: int = Field(description="that it was asked about last")
    unlike: int = Field(description="of these, how many it could not say anything about")
    index: float | None = Field(
        description="population stability index of the probability to fail within a week; null: too little is known"
    )
    limit: float | None = Field(description="what it may be")
    reasons: list[Literal["unlike", "shift"]] = Field(
        description="why it no longer fits: `unlike`, it cannot speak of more than a fifth of the devices; `shift`, what "
        "it says lies elsewhere than then; none: it fits"
    )
    bins: list[DriftBin]


class LeadTime(Reply):
    """Hours from the beginning of a warning that held to the failure: quartiles."""

    p25_h: float
    p50_h: float
    p75_h: float


class LeadPoint(Reply):
    """The share of all failures that was warned of so long before, or longer."""

    before_h: float = Field(examples=[72.0])
    share: float = Field(examples=[0.8])


class VersionRecord(Reply):
    """What the forecasts of a version were worth that were told while things went on. null: it could not be measured."""

    version: int
    shadow: bool = Field(description="nobody heard of them: it was not in force")
    first: AwareDatetime = Field(description="when the first of these forecasts was told")
    last: AwareDatetime
    devices: int
    device_years: float = Field(description="for how long forecasts stood that say something")
    moments: int = Field(description="a day apart, with a forecast and a known outcome within a week")
    unsaid: float | None = Field(
        description="share of such moments at which it could not say anything; not in `moments`"
    )
    brier: float | None = Field(description="squared error of the probability to fail within a week")
    brier_constant: float | None = Field(description="of the best one forecast for all moments")
    reliability: list[ReliabilityPoint]
    coverage_90: float | None = Field(
        description="share of true remaining lives inside the 5–95 % interval, where a failure ended them"
    )
    covered_of: int = Field(description="moments which that is of")
    failures: int = Field(description="at which a forecast stood")
    missed: int = Field(
        description="without a warning: a probability to fail within a week of a half or more"
    )
    lead: LeadTime | None
    leads: list[LeadPoint] = Field(
        description="how long before their failures warnings began that held: by hours, from 0, where what is missing to 1 "
        "was missed; 50 points at most; none: nothing failed"
    )
    warnings: int
    false_warnings: int = Field(
        description="after which no failure came while they stood nor in the week then"
    )
    false_per_device_year: float | None


class ModelRecord(Reply):
    """Forecasts against what then happened, by version: the newest first, shadows last."""

    type: str
    start: AwareDatetime
    end: AwareDatetime
    devices: int = Field(description="that were looked at")
    of_devices: int = Field(description="with a forecast in the window")
    versions: list[VersionRecord]


class PromotionReport(Reply):
    """Which past alerts would have appeared, vanished or moved with another version in force."""

    type: str
    candidate: int
    in_force: int | None = Field(description="what it is compared with; null: without any forecast")
    rules: list[str] = Field(description="that ask for a forecast; only their alerts can differ")
    comparison: Rehearsal | None = Field(
        description="before: with what is in force, after: with the candidate; null: no rule asks for a forecast"
    )


class NewTraining(Request):
    """How a model is to be made."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"with_age": True, "promote": True, "seed": 0}]}
    )

    with_age: bool = Field(True, description="whether the time since the machine was new may tell")
    promote: bool = Field(True, description="put it in force if it is better than what is")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="the same seed and history, the same model")


class ModelReason(Request):
    """Why another version is put in force."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "forecasts bearings earlier"}]})

    reason: Text = ""
