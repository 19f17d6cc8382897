"""One survival model of a device type: from what a twin knows to how long its device may last.

In three steps, each learned from landmarks of past lives (``features.py``):

1. A **norm**: where devices of the type lie in each operating regime and channel. By it the covariates become columns that
   mean the same in every regime: where a channel lies now, where of late, and the change.
2. A **score**: the restricted mean of what is left of the life, min(T, horizon), by gradient-boosted trees, from
   pseudo-observations (Andersen, Klein and Rosthøj 2003, Biometrika 90), which for a censored life is the contribution it
   makes to Kaplan and Meier's estimate. Trees are *cross-fitted*: each fold's trees have seen no device of that fold.
3. A **curve** for each score: the lives of landmarks whose cross-fitted scores were like it, by Kaplan and Meier, near ones
   weighing more (Beran 1981), made monotone in the score. As no curve comes from devices that its score was fitted to, the
   probabilities are calibrated as they stand, censoring included; quantiles and means are read off the curve.

A failure mode's part of the risk is its share among failures of devices that look so, learned by trees likewise. The model
is the mean of the folds' trees and says of each device whether it resembles those it was trained on.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from training.attributions import attributions
from training.boosting import Boosting, Matrix, Trees, fit
from twins.covariates import Covariates
from twins.directory import hashes

FOLDS: Final = 10
"""Into how many parts devices are put; each part's scores come from trees that were fitted to the others."""

VIEWS: Final = ("now", "late", "change")
"""What is said of each channel: its short trend, its long one, and how far the first is from the second."""

AGE: Final = "age_h"
"""The last column, which is of no channel."""

_NONE: Final = -1  # no fold
_GRAIN: Final = 64.0  # parts of a standard deviation: less tells of rounding, and by that of age
_FAR: Final = 50.0  # standard deviations
_KNOTS: Final = 64
_NEAR: Final = 0.06  # share of all landmarks that a curve is made of
_TIMES: Final = 128
_TAIL_TIMES: Final = 40
_UNLIKE: Final = 0.005  # share of the landmarks that are called unlike the others
_MARGIN: Final = 1.5  # times these limits: devices that are new were not there when they were set
_KEPT_VARIANCE: Final = 0.95
_LEAST_SHARE: Final = (
    0.4  # of the short trend that readings stand for, 5 of them; with less nothing can be said
)


class Norm(NamedTuple):
    """Where channels of the type lie: R regimes, F features."""

    mean: NDArray[np.float64]  # (R, F) channel units
    spread: NDArray[np.float64]  # (R, F) standard deviation

    @staticmethod
    def learned(known: Covariates) -> "Norm":
        """From landmarks: each one's trends count by how much of its late past they stand for.

        A regime that no device met has no norm: what lies in it says nothing.
        """
        trend = known.trend[:, 0].astype(np.float64)
        weight = np.where(np.isfinite(trend), known.share[:, 0, :, None], 0.0)
        trend = np.where(weight > 0.0, trend, 0.0)
        total = weight.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (weight * trend).sum(axis=0) / total
            square = (weight * (trend - mean) ** 2).sum(axis=0) / total
        return Norm(mean, np.sqrt(square) + 1.0e-4 * np.abs(mean) + 1.0e-9)


def columns_of(features: Sequence[str], with_age: bool) -> tuple[str, ...]:
    """The names of the columns that ``design`` gives."""
    return (
        *(f"{feature}.{view}" for view in VIEWS for feature in features),
        *((AGE,) if with_age else ()),
    )


def design(known: Covariates, norm: Norm, with_age: bool) -> Matrix:
    """(n, columns) what the trees are asked about, in the norm's standard deviations; the last column is the age, h.

    Rounded, so that no column tells more than a channel can know: an exact mean of a steady channel would tell by its last
    bits how often it was taken, which is an age in disguise. NaN where a channel was never heard.
    """
    with np.errstate(invalid="ignore"):
        z = np.clip((known.trend - norm.mean) / norm.spread, -_FAR, _FAR)
    share = np.where(np.isfinite(z), known.share[..., None], 0.0)
    total = share.sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        now, late = np.moveaxis(np.where(share > 0.0, z * share, 0.0).sum(axis=2) / total, 1, 0)
    found = np.round(np.concatenate([now, late, now - late], axis=1) * _GRAIN) / _GRAIN
    if with_age:
        found = np.concatenate([found, known.age_h], axis=1)
    return np.ascontiguousarray(found, np.float32)


def heard_enough(known: Covariates) -> NDArray[np.bool_]:
    """(n,) whether anything can be said of a device."""
    return np.asarray(known.share[:, 0].sum(axis=1) >= _LEAST_SHARE)


Ids: TypeAlias = Sequence[str] | NDArray[np.object_] | pa.StringArray


def keys_of(device_ids: Ids) -> NDArray[np.uint64]:
    """(n,) what stands for each device in a model: of its id alone, so that it is the same in every one."""
    return hashes(device_ids if isinstance(device_ids, pa.Array) else pa.array(device_ids, pa.string()))


def fold_of(device_ids: Ids) -> NDArray[np.int64]:
    """(n,) the fold of each device."""
    return (keys_of(device_ids) % np.uint64(FOLDS)).astype(np.int64)


# -- time left -----------------------------------------------------------------------------------------------------


def restricted(
    remaining_h: NDArray[np.float64], failed: NDArray[np.bool_], horizon_h: float
) -> NDArray[np.float64]:
    """(n,) pseudo-observations of min(T, horizon): with a censored life, what it adds to the mean by Kaplan and Meier.

    Infinitesimal jackknife; min(T, horizon) itself where no life is censored before the horizon.
    """
    capped = np.minimum(remaining_h, horizon_h)
    if not (~failed & (remaining_h < horizon_h)).any():
        return capped
    times, place = np.unique(capped, return_inverse=True)
    ends = failed & (remaining_h <= horizon_h)
    deaths = np.bincount(place, ends, len(times))
    at_risk = np.cumsum(np.bincount(place, minlength=len(times))[::-1])[::-1]
    hazard = deaths / at_risk
    survival = np.cumprod(1.0 - hazard)
    before = np.concatenate([[1.0], survival[:-1]])
    steps = np.diff(np.concatenate([[0.0], times]))
    area = np.cumsum(before * steps)
    rest = area[-1] - area
    total = len(capped)
    inflow = np.cumsum(total * hazard / at_risk)
    inflow_before = np.concatenate([[0.0], inflow[:-1]])
    spent = np.cumsum(before * steps * inflow_before)
    gained = spent[place] + inflow[place] * rest[place]
    lost = np.where(ends, total / at_risk[place] * rest[place], 0.0)
    found: NDArray[np.float64] = area[-1] + gained - lost
    return found


def times_for(remaining_h: NDArray[np.float64], horizon_h: float) -> NDArray[np.float64]:
    """Hours at which curves are kept: evenly to the horizon, then ever further apart, to the longest life known."""
    near_h = np.linspace(0.0, horizon_h, _TIMES)
    longest_h = max(float(remaining_h.max(initial=0.0)), 1.01 * horizon_h)
    return np.concatenate([near_h, np.geomspace(horizon_h, longest_h, _TAIL_TIMES)[1:]])


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Survival by score: ``survival[k, j]`` is the probability to last ``times_h[j]`` with the score ``scores[k]``."""

    scores: NDArray[np.float64]  # (knots,) ascending
    times_h: NDArray[np.float64]  # (times,) ascending from 0
    survival: NDArray[np.float64]  # (knots, times) falling along times, rising along scores

    @staticmethod
    def learned(
        scores: NDArray[np.float64],
        remaining_h: NDArray[np.float64],
        failed: NDArray[np.bool_],
        times_h: NDArray[np.float64],
    ) -> "Curves":
        """From cross-fitted scores and what was left of each life, for the times of ``times_for``."""
        knots = np.unique(np.quantile(scores, np.linspace(0.0, 1.0, _KNOTS)))
        place = np.minimum(np.searchsorted(times_h, remaining_h, "left"), len(times_h) - 1)
        count = min(len(scores) - 1, max(200, int(_NEAR * len(scores))))
        survival = np.stack([_beran(knot, scores, place, failed, len(times_h), count) for knot in knots])
        rising = IsotonicRegression(increasing=True)
        for j in range(len(times_h)):
            survival[:, j] = rising.fit_transform(knots, survival[:, j])
        return Curves(knots, times_h, survival)

    def of(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, times) the curves of some scores, between those that are known."""
        place = np.clip(np.searchsorted(self.scores, scores) - 1, 0, max(0, len(self.scores) - 2))
        after = np.minimum(place + 1, len(self.scores) - 1)
        gap = np.where(after > place, self.scores[after] - self.scores[place], 1.0)
        part = np.clip((scores - self.scores[place]) / gap, 0.0, 1.0)[:, None]
        found: NDArray[np.float64] = self.survival[place] * (1.0 - part) + self.survival[after] * part
        return found


def _beran(
    knot: float,
    scores: NDArray[np.float64],
    place: NDArray[np.int64],
    failed: NDArray[np.bool_],
    times: int,
    count: int,
) -> NDArray[np.float64]:
    """(times,) Kaplan and Meier's estimate from the ``count`` scores nearest to one, near ones weighing more (tricube)."""
    away = np.abs(scores - knot)
    reach = np.partition(away, count)[count] + 1.0e-9
    weight = np.clip(1.0 - (away / reach) ** 3, 0.0, None) ** 3
    leaving = np.bincount(place, weight, times)
    deaths = np.bincount(place, weight * failed, times)
    at_risk = np.cumsum(leaving[::-1])[::-1]
    hazard = np.divide(deaths, at_risk, out=np.zeros(times), where=at_risk > 0.0)
    return np.asarray(np.cumprod(1.0 - np.clip(hazard, 0.0, 1.0)), np.float64)


# -- likeness ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """Whether a device resembles those that were learned from: Hotelling's T² and Q of principal components.

    Source: Jackson and Mudholkar (1979), Technometrics 21; limits are quantiles of what was seen.
    """

    centre: NDArray[np.float64]  # (columns,)
    scale: NDArray[np.float64]
    axes: NDArray[np.float64]  # (columns, components)
    variance: NDArray[np.float64]  # (components,)
    limits: NDArray[np.float64]  # (2,) of T² and of Q

    @staticmethod
    def learned(x: Matrix) -> "Likeness":
        """From the columns of landmarks; an unknown value counts as ordinary."""
        seen = np.where(np.isnan(x).all(axis=0), 0.0, x.astype(np.float64))
        centre = np.nanmean(seen, axis=0) if len(seen) else np.zeros(x.shape[1])
        scale = np.nan_to_num(np.nanstd(seen, axis=0))
        scale = np.where(scale > 1.0 / _GRAIN, scale, np.inf)  # a column that never moved tells nothing
        z = np.nan_to_num((seen - centre) / scale)
        variance, axes = np.linalg.eigh(z.T @ z / max(1, len(z)))
        variance, axes = variance[::-1], axes[:, ::-1]
        total = max(float(variance.sum()), 1.0e-12)
        kept = int(np.searchsorted(np.cumsum(variance) / total, _KEPT_VARIANCE)) + 1
        found = Likeness(
            centre, scale, axes[:, :kept], np.maximum(variance[:kept], 1.0e-9), np.full(2, np.inf)
        )
        limits = np.quantile(found.statistics(x), 1.0 - _UNLIKE, axis=0) if len(z) else found.limits
        return Likeness(found.centre, found.scale, found.axes, found.variance, limits)

    def statistics(self, x: Matrix) -> NDArray[np.float64]:
        """(n, 2) T² and Q."""
        z = np.nan_to_num((x.astype(np.float64) - self.centre) / self.scale)
        along = z @ self.axes
        t2 = (along * along / self.variance).sum(axis=1)
        q = np.maximum((z * z).sum(axis=1) - (along * along).sum(axis=1), 0.0)
        return np.stack([t2, q], axis=1)

    def holds(self, x: Matrix) -> NDArray[np.bool_]:
        """(n,) whether each row is like those that were learned from."""
        return np.asarray((self.statistics(x) <= _MARGIN * self.limits).all(axis=1))


# -- the whole -----------------------------------------------------------------------------------------------------


class Forecast(NamedTuple):
    """What is said of n devices, by ``any`` failure and by each failure mode.

    ``share`` (n, modes) is each mode's part of the risk; ``survival`` (n, times) the probability that nothing fails by then;
    ``seen`` (n, columns) what ``design`` gave.
    """

    score_h: NDArray[np.float64]
    times_h: NDArray[np.float64]
    survival: NDArray[np.float64]
    share: NDArray[np.float64]
    in_distribution: NDArray[np.bool_]
    seen: Matrix

    def probability(self, within_h: float, mode: int | None = None) -> NDArray[np.float64]:
        """(n,) of a failure, by one mode or by any, within some hours."""
        failing = 1.0 - lasting(self.survival, self.times_h, within_h)
        return failing if mode is None else failing * self.share[:, mode]

    def on(self, times_h: NDArray[np.float64]) -> "Forecast":
        """The same with its curves at other times, ascending from 0; beyond their own last time as there."""
        survival = np.stack([lasting(self.survival, self.times_h, at_h) for at_h in times_h.tolist()], axis=1)
        return self._replace(times_h=times_h, survival=survival)

    def quantile(self, p: float, mode: int | None = None) -> NDArray[np.float64]:
        """(n,) hours within which the failure comes with probability ``p``; NaN: not as far as history reaches."""
        failing = 1.0 - self.survival
        if mode is not None:
            failing = failing * self.share[:, mode, None]
        return _crossing(failing, self.times_h, p)

    def mean(self, horizon_h: float, mode: int | None = None) -> NDArray[np.float64]:
        """(n,) hours that are left on average until a failure, by one mode or by any, no more than the horizon counting."""
        steps = np.diff(np.minimum(self.times_h, horizon_h))
        failing = 1.0 - (self.survival[:, 1:] + self.survival[:, :-1]) / 2.0
        if mode is not None:
            failing = failing * self.share[:, mode, None]
        found: NDArray[np.float64] = (steps * (1.0 - failing)).sum(axis=1)
        return found


def lasting(survival: NDArray[np.float64], times_h: NDArray[np.float64], at_h: float) -> NDArray[np.float64]:
    """(n,) the probability to last so long, from curves (n, times); beyond the last time as there."""
    place = int(np.clip(np.searchsorted(times_h, at_h, "right") - 1, 0, len(times_h) - 2))
    part = min(1.0, (at_h - times_h[place]) / (times_h[place + 1] - times_h[place]))
    found: NDArray[np.float64] = survival[:, place] * (1.0 - part) + survival[:, place + 1] * part
    return found


def lasting_each(
    survival: NDArray[np.float64], times_h: NDArray[np.float64], at_h: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n,) the probability of each to last so long as its ``at_h`` (n,) says; beyond the last time as there."""
    place = np.clip(np.searchsorted(times_h, at_h, "right") - 1, 0, len(times_h) - 2)
    part = np.clip((at_h - times_h[place]) / (times_h[place + 1] - times_h[place]), 0.0, 1.0)
    rows = np.arange(len(survival))
    found: NDArray[np.float64] = survival[rows, place] * (1.0 - part) + survival[rows, place + 1] * part
    return found


def _crossing(failing: NDArray[np.float64], times_h: NDArray[np.float64], p: float) -> NDArray[np.float64]:
    reached = failing >= p
    first = np.argmax(reached, axis=1)
    rows = np.arange(len(failing))
    before = np.maximum(first - 1, 0)
    low, high = failing[rows, before], failing[rows, first]
    part = np.where(high > low, (p - low) / np.where(high > low, high - low, 1.0), 0.0)
    found = times_h[before] + np.clip(part, 0.0, 1.0) * (times_h[first] - times_h[before])
    return np.where(reached.any(axis=1), np.where(first == 0, 0.0, found), np.nan)


class Contributions(NamedTuple):
    """How far what the twins of n devices know moved their scores, h. A line's ``hours`` and its ``base_h`` are its score.

    ``base_h`` is the mean score of the landmarks that the trees were learned from; ``seen`` is what ``design`` gave.
    """

    base_h: NDArray[np.float64]  # (n,)
    hours: NDArray[np.float64]  # (n, columns) negative: shortens
    seen: Matrix  # (n, columns)


@dataclass(frozen=True, slots=True, eq=False)
class SurvivalModel:
    """A trained model; see the module's text.

    ``causes[k][m]`` are fold k's trees of failure mode m; none without labels. ``seen`` are the keys of the devices that it
    was learned from, ascending.
    """

    norm: Norm
    with_age: bool
    horizon_h: float
    folds: tuple[Trees, ...]
    causes: tuple[tuple[Trees, ...], ...]
    curves: Curves
    likeness: Likeness
    seen: NDArray[np.uint64]

    def forecast(self, known: Covariates, device_ids: Ids) -> Forecast:
        """What is to be expected of devices, from what their twins know.

        A device that was learned from is judged by the trees of its own fold, which have not seen it: those that have would
        remember that it lasted. Of any other all trees are asked.
        """
        return self.by_folds(known, self._judges(device_ids))

    def by_folds(self, known: Covariates, fold: NDArray[np.int64]) -> Forecast:
        """The same by the trees of some fold for each device; -1: by those of all."""
        x = design(known, self.norm, self.with_age)
        scores = np.zeros(len(x))
        share = np.zeros((len(x), self._modes()))
        for mine, folds in self._parted(fold):
            scores[mine] = _mean(self.folds[each].predict(x[mine]) for each in folds)
            share[mine] = self._shares(x[mine], folds)
        inside = self.likeness.holds(x) & heard_enough(known)
        return Forecast(scores, self.curves.times_h, self.curves.of(scores), share, inside, x)

    def contributions(self, known: Covariates, device_ids: Ids) -> Contributions | None:
        """What moved the scores of ``forecast`` from that of the mean landmark, by the same trees.

        None: the model was kept without what tells that. Time grows with the trees that are asked: one fold's, or all.
        """
        if any(trees.cover is None for trees in self.folds):
            return None
        x = design(known, self.norm, self.with_age)
        found = np.zeros((len(x), x.shape[1] + 1))
        for mine, folds in self._parted(self._judges(device_ids)):
            found[mine] = _mean(attributions(self.folds[each], x[mine]) for each in folds)
        return Contributions(found[:, -1], found[:, :-1], x)

    def _judges(self, device_ids: Ids) -> NDArray[np.int64]:
        """(n,) the fold whose trees judge each device; -1: those of all do."""
        keys = keys_of(device_ids)
        if not len(self.seen):
            return np.full(len(keys), _NONE)
        place = np.minimum(np.searchsorted(self.seen, keys), len(self.seen) - 1)
        return np.where(self.seen[place] == keys, (keys % np.uint64(FOLDS)).astype(np.int64), _NONE)

    def _parted(self, fold: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.bool_], Sequence[int] | range]]:
        """The devices that the same trees judge, and the folds that these are of."""
        for number in np.unique(fold):
            yield fold == number, range(len(self.folds)) if number == _NONE else [number]

    def _shares(self, x: Matrix, folds: Sequence[int] | range) -> NDArray[np.float64]:
        if not self.causes:
            return np.zeros((len(x), 0))
        parts = (np.stack([trees.predict(x) for trees in self.causes[number]], axis=1) for number in folds)
        return shares(_mean(parts))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, to be kept; ``from_arrays`` makes the model of it again."""
        found: dict[str, NDArray[Any]] = {
            "norm.mean": self.norm.mean,
            "norm.spread": self.norm.spread,
            "settings": np.array([float(self.with_age), self.horizon_h, len(self.folds), self._modes()]),
            "curves.scores": self.curves.scores,
            "curves.times_h": self.curves.times_h,
            "curves.survival": self.curves.survival,
            **{f"likeness.{name}": getattr(self.likeness, name) for name in Likeness.__slots__},
            "seen": self.seen,
        }
        for number, trees in enumerate(self.folds):
            found |= trees.arrays(f"fold.{number}.")
        for number, modes in enumerate(self.causes):
            for mode, trees in enumerate(modes):
                found |= trees.arrays(f"cause.{number}.{mode}.")
        return found

    def _modes(self) -> int:
        return len(self.causes[0]) if self.causes else 0

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The model that ``arrays`` described; KeyError if some of it is not there."""
        with_age, horizon_h, folds, modes = arrays["settings"].tolist()
        numbers = range(int(folds))
        return cls(
            Norm(arrays["norm.mean"], arrays["norm.spread"]),
            bool(with_age),
            horizon_h,
            tuple(Trees.from_arrays(arrays, f"fold.{number}.") for number in numbers),
            tuple(
                tuple(Trees.from_arrays(arrays, f"cause.{number}.{mode}.") for mode in range(int(modes)))
                for number in numbers
            )
            if modes
            else (),
            Curves(*(arrays[f"curves.{name}"] for name in Curves.__slots__)),
            Likeness(**{name: arrays[f"likeness.{name}"] for name in Likeness.__slots__}),
            arrays["seen"],
        )


def _mean(parts: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Of equal shapes, added one after the other: a device comes to the same bits whoever is scored beside it."""
    first, *others = parts
    total = first.copy()
    for part in others:
        total += part
    return total / (1 + len(others))


def unseen_curves(
    scores: NDArray[np.float64], remaining_h: NDArray[np.float64], failed: NDArray[np.bool_], fold: NDArray[np.int64],
    times_h: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """(n, times) curves of landmarks, each learned from the devices of other folds alone: what figures are taken from."""
    found = np.ones((len(scores), len(times_h)))
    for number in np.unique(fold):
        mine, others = fold == number, fold != number
        found[mine] = Curves.learned(scores[others], remaining_h[others], failed[others], times_h).of(
            scores[mine]
        )
    return found


def shares(raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, modes) parts of one that are in proportion to what trees say, none of them quite nothing."""
    part = np.clip(raw, 1.0e-3, 1.0)
    found: NDArray[np.float64] = part / part.sum(axis=1, keepdims=True)
    return found


def fit_causes(
    x: Matrix, cause: NDArray[np.int64], modes: int, how: Boosting, seed: int
) -> tuple[Trees, ...]:
    """The trees of one fold for each failure mode's share, from landmarks of lives whose failure says its mode."""
    return tuple(fit(x, (cause == mode).astype(np.float64), how, seed + mode) for mode in range(modes))
