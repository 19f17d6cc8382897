"""How good forecasts are, on lives that their makers have not seen: error, order, calibration; no training.

Censored lives count as far as they are known: by inverse probability of censoring where a figure needs the outcome, else by
Kaplan and Meier.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.survival import Forecast, lasting, lasting_each

HORIZONS_H: Final = (24.0, 168.0, 720.0)
"""A day, a week, thirty days: what the risk of every device is told for."""

_BINS: Final = 10
_LEVELS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_PAIRS: Final = 4000  # landmarks that are put in order; all would be a square of them
_INSTANTS: Final = 20
_FEWEST: Final = 10

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]


def measured(told: Forecast, remaining_h: Vector, failed: Flags, horizon_h: float) -> dict[str, float]:
    """The figures of a model: see ``Manifest.metrics`` in ``registry.py``."""
    capped = np.minimum(remaining_h, horizon_h)
    known = failed | (remaining_h >= horizon_h)  # what min(T, horizon) is
    mean_h = told.mean(horizon_h)
    error = (mean_h - capped)[known]
    constant = capped[known] - capped[known].mean() if known.any() else np.zeros(0)
    return {
        "rmse_h": _root(error),
        "rmse_constant_h": _root(constant),
        "concordance": concordance(mean_h, capped, failed & (remaining_h < horizon_h)),
        "brier": integrated_brier(told.survival, told.times_h, remaining_h, failed, horizon_h),
        "brier_constant": integrated_brier(
            np.broadcast_to(_pooled(remaining_h, failed, told.times_h), told.survival.shape),
            told.times_h, remaining_h, failed, horizon_h,
        ),
        "coverage_90": _covered(told, remaining_h, failed, 0.9),
    }  # fmt: skip


def measured_after(told: Forecast, remaining_h: Vector, failed: Flags, horizon_h: float) -> dict[str, float]:
    """The same where most lives are cut short by the present, as after a cut in time: those count for the coverage, too."""
    return {
        **measured(told, remaining_h, failed, horizon_h),
        "coverage_90": covered_as_far_as_known(told, remaining_h, failed, 0.9),
    }


def covered_as_far_as_known(told: Forecast, remaining_h: Vector, failed: Flags, level: float) -> float:
    """The share of lives inside the interval of so much probability: ``level`` if forecasts are right, whatever is censored.

    Of a life that goes on at ``remaining_h`` counts how probable it is that it ends inside, as the forecast itself says of
    one that lasted so long. Those that ended alone would be the short ones, and lie below the interval too often.
    Source: Haider, Hoehn, Davis and Greiner (2020), Journal of Machine Learning Research 21, D-calibration.
    """
    lasts = lasting_each(told.survival, told.times_h, remaining_h)
    low, high = (1.0 - level) / 2.0, (1.0 + level) / 2.0
    inside = (lasts >= low) & (lasts <= high)
    ahead = np.clip(np.minimum(lasts, high) - low, 0.0, None) / np.maximum(lasts, 1.0e-12)
    return float(np.where(failed, inside, ahead).mean()) if len(failed) else float("nan")


def calibration(told: Forecast, remaining_h: Vector, failed: Flags, horizon_h: float) -> dict[str, Any]:
    """What a page shows of it: see ``Manifest.calibration`` in ``registry.py``."""
    return {
        "reliability": {f"{at_h:g}": reliability(told, remaining_h, failed, at_h) for at_h in HORIZONS_H},
        "coverage": [
            {"nominal": level, "observed": _covered(told, remaining_h, failed, level)} for level in _LEVELS
        ],
        "forecast": _by_truth(told, remaining_h, failed, horizon_h),
    }


def concordance(mean_h: Vector, remaining_h: Vector, failed: Flags) -> float:
    """Harrell's C: of two of which one is known to fail first, how often it was the one with less time left; ties half.

    Of many landmarks some, evenly taken. NaN where no two can be compared.
    """
    step = max(1, len(mean_h) // _PAIRS)
    told, left, ends = mean_h[::step], remaining_h[::step], failed[::step]
    good = comparable = 0.0
    for i in np.flatnonzero(ends):
        later = left > left[i]
        comparable += later.sum()
        good += (told[later] > told[i]).sum() + 0.5 * (told[later] == told[i]).sum()
    return float(good / comparable) if comparable else float("nan")


def integrated_brier(
    survival: Vector, times_h: Vector, remaining_h: Vector, failed: Flags, horizon_h: float
) -> float:
    """Graf's score (1999, Statistics in Medicine 18): the mean over times up to the horizon of the squared error of
    the probability to last, each known outcome weighing for those like it that were censored.
    """
    staying = _pooled(remaining_h, ~failed, times_h)  # of the censoring
    weight_then = 1.0 / np.maximum(np.interp(remaining_h, times_h, staying), 0.05)
    total = 0.0
    instants = np.linspace(0.0, horizon_h, _INSTANTS + 1)[1:]
    for at_h in instants:
        lasts = lasting(survival, times_h, at_h)
        gone = failed & (remaining_h <= at_h)
        there = remaining_h > at_h
        weight = np.where(gone, weight_then, 1.0 / max(float(np.interp(at_h, times_h, staying)), 0.05))
        total += float(np.mean(np.where(gone, lasts**2, np.where(there, (1.0 - lasts) ** 2, 0.0)) * weight))
    return total / len(instants)


def reliability(told: Forecast, remaining_h: Vector, failed: Flags, at_h: float) -> list[dict[str, float]]:
    """Devices with like probabilities to fail within ``at_h``, and how many of them did, by Kaplan and Meier."""
    risk = told.probability(at_h)
    bins = np.minimum((risk * _BINS).astype(int), _BINS - 1)
    found = []
    for number in np.unique(bins):
        mine = bins == number
        observed = 1.0 - float(_pooled(remaining_h[mine], failed[mine], np.array([at_h]))[0])
        if mine.sum() >= _FEWEST:
            found.append(
                {"predicted": float(risk[mine].mean()), "observed": observed, "count": int(mine.sum())}
            )
    return found


def _covered(told: Forecast, remaining_h: Vector, failed: Flags, level: float) -> float:
    """The share of true lives inside the interval of so much probability; of those whose end is known."""
    low, high = told.quantile((1.0 - level) / 2.0), told.quantile((1.0 + level) / 2.0)
    inside = (np.nan_to_num(low, nan=np.inf) <= remaining_h) & (
        remaining_h <= np.nan_to_num(high, nan=np.inf)
    )
    return float(inside[failed].mean()) if failed.any() else float("nan")


def _by_truth(told: Forecast, remaining_h: Vector, failed: Flags, horizon_h: float) -> list[dict[str, float]]:
    """What was said of devices when they had so much left."""
    edges = np.linspace(0.0, horizon_h, _BINS + 1)
    cut = {name: told.quantile(p) for name, p in (("p05_h", 0.05), ("p50_h", 0.5), ("p95_h", 0.95))}
    found = []
    for low, high in pairwise(edges.tolist()):
        mine = failed & (remaining_h >= low) & (remaining_h < high)
        if mine.sum() >= _FEWEST:
            middles = {
                name: float(np.median(np.nan_to_num(values[mine], nan=told.times_h[-1])))
                for name, values in cut.items()
            }
            found.append({"true_h": float((low + high) / 2.0), **middles, "count": int(mine.sum())})
    return found


def _pooled(remaining_h: Vector, ends: Flags, times_h: Vector) -> Vector:
    """(times,) Kaplan and Meier's estimate of all together."""
    order = np.sort(np.unique(remaining_h[ends])) if ends.any() else np.zeros(0)
    at_risk = len(remaining_h) - np.searchsorted(np.sort(remaining_h), order, "left")
    deaths = np.searchsorted(np.sort(remaining_h[ends]), order, "right") - np.searchsorted(
        np.sort(remaining_h[ends]), order, "left"
    )
    survival = np.concatenate([[1.0], np.cumprod(1.0 - deaths / np.maximum(at_risk, 1))])
    found: Vector = survival[np.searchsorted(order, times_h, "right")]
    return found


def _root(error: Vector) -> float:
    return float(np.sqrt(np.mean(error**2))) if len(error) else float("nan")


def summary(metrics: Mapping[str, float]) -> str:
    """The figures in a line."""
    return (
        f"error {metrics['rmse_h']:.1f} h (a constant {metrics['rmse_constant_h']:.1f}), concordance "
        f"{metrics['concordance']:.3f}, Brier {metrics['brier']:.4f} (a constant {metrics['brier_constant']:.4f}), "
        f"90 % interval holds {metrics['coverage_90']:.1%}"
    )
