"""Two versions of a pump's model for the browser tests, judged on lives that are drawn.

Nobody trained them on failures: each says the logarithm of the true remaining life, give or take so much. What they come to
is worked out from what they say, so that the pages show what such models would be. What they forecast of the fleet's pumps
was learned from lives that are the shorter the more a pump vibrates.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.boosting import Boosting, fit
from training.registry import Manifest, Registry
from training.survival import (
    FOLDS,
    Curves,
    Likeness,
    Norm,
    SurvivalModel,
    columns_of,
    design,
    fit_causes,
    times_for,
)
from twins.clock import HOUR_US
from twins.fleet import Fleet
from twins.traces import feature_channels

TYPE: Final = "centrifugal-pump"
HORIZON_H: Final = 720.0
MODES: Final = ("bearing-wear", "impeller-erosion", "seal-leak")
TELLING: Final = ("vibration", "bearing_temperature")
MOST: Final = 2_000
ROWS: Final = 900
DEVICES: Final = 60

Vector = NDArray[np.float64]


def add_models(registry: Registry, fleet: Fleet, now_us: int) -> None:
    """The first version in force, and a second that is better."""
    device_type = fleet.types[TYPE]
    channels = [device_type.channels[c].name for c in feature_channels(device_type)]
    arrays = forecaster(fleet, channels).arrays()
    for blur in (0.6, 0.35):
        draws = np.random.default_rng(17)
        true_h = 420.0 * draws.weibull(1.6, ROWS)
        said = np.log(true_h) + blur * draws.normal(size=ROWS)
        registry.add(manifest(true_h, said, blur, now_us, channels), arrays)
    registry.promote(TYPE, 1, "kari", "the first")


def forecaster(fleet: Fleet, channels: list[str]) -> SurvivalModel:
    """A small model of the pumps as they are now."""
    found = fleet.scorable(0, TYPE, 0, MOST, True)
    assert found is not None
    norm = Norm.learned(found.known)
    x = np.repeat(design(found.known, norm, False), 8, axis=0)
    draws = np.random.default_rng(5)
    worn = np.nan_to_num(x[:, [channels.index(name) for name in TELLING]]).max(axis=1)
    left_h = 500.0 * np.exp(-0.7 * worn + 0.4 * draws.normal(size=len(x)))
    cause = draws.integers(0, len(MODES), len(x))
    small, lasts = Boosting(rounds=30), np.minimum(left_h, HORIZON_H)
    folds = tuple(fit(x, lasts, small, seed) for seed in range(FOLDS))
    causes = tuple(fit_causes(x, cause, len(MODES), Boosting(rounds=5), seed) for seed in range(FOLDS))
    ends = np.ones(len(x), bool)
    curves = Curves.learned(folds[0].predict(x), left_h, ends, times_for(left_h, HORIZON_H))
    unseen = np.zeros(0, np.uint64)
    return SurvivalModel(norm, False, HORIZON_H, folds, causes, curves, Likeness.learned(x), unseen)


def manifest(true_h: Vector, said: Vector, blur: float, now_us: int, channels: list[str]) -> Manifest:
    return Manifest(
        device_type=TYPE,
        type_version=1,
        by="kari",
        data={"readings_centrifugal_pump": 214, "events": 96},
        trained_until_us=now_us - HOUR_US,
        features=columns_of(channels, with_age=False),
        failure_modes=MODES,
        parameters={
            "seed": 17, "with_age": False, "horizon_h": HORIZON_H, "holdout": "60-pumps", "devices": 240,
            "life_cycles": 310, "failures": 262, "rows": 52_000, "blur": blur,
        },
        metrics=metrics(true_h, said, blur),
        calibration=calibration(true_h, said, blur),
    )  # fmt: skip


def metrics(true_h: Vector, said: Vector, blur: float) -> dict[str, float]:
    restricted, forecast = np.minimum(true_h, HORIZON_H), np.minimum(np.exp(said), HORIZON_H)
    horizons = np.linspace(24.0, HORIZON_H, 30)
    failed = true_h[:, None] <= horizons
    inside = np.abs(np.log(true_h) - said) <= 1.645 * blur
    first, second = np.triu_indices(len(true_h), 1)
    agree = (true_h[first] < true_h[second]) == (said[first] < said[second])
    return {
        "rmse_h": float(np.sqrt(np.mean((forecast - restricted) ** 2))),
        "rmse_constant_h": float(np.std(restricted)),
        "concordance": float(agree.mean()),
        "brier": float(np.mean((chance(said, horizons, blur) - failed) ** 2)),
        "brier_constant": float(np.mean((failed.mean(axis=0) - failed) ** 2)),
        "coverage_90": float(inside.mean()),
        "rows": float(ROWS),
        "devices": float(DEVICES),
        "failures": float(DEVICES - 9),
    }


def calibration(true_h: Vector, said: Vector, blur: float) -> dict[str, Any]:
    spread = {0.5: 0.674, 0.8: 1.282, 0.9: 1.645, 0.95: 1.96}
    off = np.abs(np.log(true_h) - said) / blur
    return {
        "reliability": {f"{hours:.0f}": reliability(true_h, said, hours, blur) for hours in (24.0, 168.0, 720.0)},
        "coverage": [{"nominal": share, "observed": float((off <= z).mean())} for share, z in spread.items()],
        "forecast": [
            {
                "true_h": capped(true_h[rows]), "p05_h": capped(np.exp(said[rows] - 1.645 * blur)),
                "p50_h": capped(np.exp(said[rows])), "p95_h": capped(np.exp(said[rows] + 1.645 * blur)), "count": len(rows),
            }
            for rows in np.array_split(np.argsort(true_h), 8)
        ],
    }  # fmt: skip


def reliability(true_h: Vector, said: Vector, hours: float, blur: float) -> list[dict[str, float]]:
    predicted = chance(said, np.array([hours]), blur)[:, 0]
    return [
        {
            "predicted": float(predicted[rows].mean()), "observed": float((true_h[rows] <= hours).mean()),
            "count": len(rows),
        }
        for rows in np.array_split(np.argsort(predicted), 9)
    ]  # fmt: skip


def chance(said: Vector, horizons: Vector, blur: float) -> Vector:
    """The probability, (row, horizon), that a life ends within a horizon; a logistic in the logarithm of time."""
    return 1.0 / (1.0 + np.exp(-1.702 * (np.log(horizons) - said[:, None]) / blur))


def capped(lives_h: Vector) -> float:
    """Their mean, none counted beyond the horizon."""
    return float(np.minimum(lives_h, HORIZON_H).mean())
