"""The forecast of one device, and those that it had."""

from pydantic import AwareDatetime, ConfigDict, Field

from serve.schemas.base import Reply


class ModePrognosis(Reply):
    """Of a failure by any mode, or by one of them."""

    failure_mode: str = Field(description="`any`: whatever mode comes first")
    title: str | None = None
    share: float | None = Field(description="of the risk, this mode's")
    rul_mean_h: float | None = Field(
        description="hours left on average, none counted beyond the model's horizon"
    )
    rul_p05_h: float | None = Field(description="null: beyond the longest life known")
    rul_p50_h: float | None
    rul_p95_h: float | None
    p_fail_24h: float | None
    p_fail_7d: float | None
    p_fail_30d: float | None


class FailureCurve(Reply):
    hours: list[float]
    p_fail: list[float] = Field(description="the probability of a failure by then")


class ContributionItem(Reply):
    channel: str | None = Field(description="null: it is the age's")
    hours: float = Field(description="how far it moved the forecast; below zero: it shortens")
    now_sd: float | None = Field(description="where the channel lies, in standard deviations of its norm")
    change_sd: float | None = Field(description="how far from where it lay of late")
    age_h: float | None = None


class UnlikeCause(Reply):
    channel: str
    share: float = Field(description="of all that makes the device unlike healthy ones, 0 to 1")
    now_sd: float | None = Field(
        description="where the channel lies, in standard deviations of healthy devices; null: it was not heard"
    )


class HealthyLikeness(Reply):
    """How like healthy devices of its type a device is."""

    like_healthy: float = Field(
        description="the share of healthy devices that are at least as unusual: small is unlike any of them"
    )
    t2: float = Field(
        description="how far out it lies along the directions in which healthy devices differ (Hotelling's T²), in parts of "
        "what one healthy moment in a hundred exceeds"
    )
    q: float = Field(description="how far off those directions, likewise")
    channels: list[UnlikeCause] = Field(description="those with the greatest part in it")


class DevicePrognosis(Reply):
    """Without figures where no model is in force (``model_version`` is null) or it cannot say."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model_version": 3, "predicted_at": "2026-01-31T11:59:58.000Z", "in_distribution": True,
                    "horizon_h": 720.0, "score_h": 212.5,
                    "modes": [
                        {"failure_mode": "any", "title": None, "share": 1.0, "rul_mean_h": 208.1, "rul_p05_h": 61.0,
                         "rul_p50_h": 190.0, "rul_p95_h": 402.0, "p_fail_24h": 0.01, "p_fail_7d": 0.41, "p_fail_30d": 0.99}
                    ],
                    "curve": {"hours": [0.0, 168.0, 720.0], "p_fail": [0.0, 0.41, 0.99]},
                    "contributions": [
                        {"channel": "vibration", "hours": -96.4, "now_sd": 3.1, "change_sd": 0.8, "age_h": None}
                    ],
                    "healthy": {
                        "like_healthy": 0.004, "t2": 1.6, "q": 0.7,
                        "channels": [{"channel": "vibration", "share": 0.72, "now_sd": 4.4}],
                    },
                }
            ]
        }
    )  # fmt: skip

    model_version: int | None
    predicted_at: AwareDatetime | None = Field(description="event time of the newest reading behind it")
    in_distribution: bool | None = Field(
        description="false: unlike what the model learned from, or hardly heard, so it cannot say"
    )
    horizon_h: float | None
    score_h: float | None = Field(description="the model's score, in hours: what contributions add up to")
    modes: list[ModePrognosis] = Field(description="any failure first, then the likeliest modes")
    curve: FailureCurve | None
    contributions: list[ContributionItem] | None = Field(
        description="what moved it most; null: the model was kept without what tells"
    )
    healthy: HealthyLikeness | None = Field(
        description="also where the model cannot say; null: it learned from too few healthy devices, or the device has "
        "hardly been heard"
    )


class PrognosisHistory(Reply):
    """What the twin was told over time, as columns; null where the model could not say."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "time": [1769860798000], "model_version": [3], "failure_mode": ["bearing-wear"],
                    "in_distribution": [True], "p_fail_24h": [0.01], "p_fail_7d": [0.41], "p_fail_30d": [0.99],
                    "rul_p05_h": [61.0], "rul_p50_h": [190.0], "rul_p95_h": [402.0], "like_healthy": [0.004],
                }
            ]
        }
    )  # fmt: skip

    time: list[int] = Field(description="ms since the epoch, event time")
    model_version: list[int]
    failure_mode: list[str | None]
    in_distribution: list[bool]
    p_fail_24h: list[float | None]
    p_fail_7d: list[float | None]
    p_fail_30d: list[float | None]
    rul_p05_h: list[float | None]
    rul_p50_h: list[float | None]
    rul_p95_h: list[float | None]
    like_healthy: list[float | None] = Field(
        description="also where the model could not say; null: not known"
    )
