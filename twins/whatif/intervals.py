"""What replications say about a metric, and how surely.

Replication k of every arm shares its luck (common random numbers), so arms are compared pair by pair. An interval is about
an expected value or a quantile at its ``level``; the ranges of a ``Fan`` are about single futures. What cannot be said has
an infinite bound, never a made-up one: one replication shows no spread.

NaN is a metric without a value in that replication, such as a mean time to repair where nothing broke. It is left out and
counted as ``undefined``; what is said then holds for replications in which there is a value. A pair is left out where either
side has none. Infinity is a value ("never"): quantiles and shares can bear it, a mean with it has no bounds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Vector = NDArray[np.float64]

LEVEL: Final = 0.95
"""Of intervals where none is asked for."""

RANGES: Final = (0.5, 0.8, 0.95)
"""Parts of all futures that the ranges of a fan hold."""

_LEAST_FOR_CORRELATION: Final = 3  # two points always lie on a line
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval.

    Attributes
    ----------
    value : in the metric's unit; NaN where nothing is known
    low, high : bounds; -inf, inf where there is no bound (0, 1 of a share)
    level : how often such an interval holds the true figure
    n : replications, or pairs, that have a value
    undefined : those that have none
    """

    value: float
    low: float
    high: float
    level: float
    n: int
    undefined: int = 0

    @property
    def half_width(self) -> float:
        """Half of ``high - low``; inf where a bound is missing."""
        return (self.high - self.low) / 2

    def holds(self, value: float) -> bool:
        """Whether ``value`` lies within the bounds."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Paired:
    """An arm against its reference, replication by replication.

    Attributes
    ----------
    difference : expected value of arm - reference, in the metric's unit; below zero where the arm has less of it
    correlation : of arm and reference over the pairs; NaN below three pairs or where either never varies
    variance_ratio : variance of the differences to what independent runs would have, which is also the ratio of the
        replications needed; below one where shared luck helps, above where it harms, NaN where nothing varies
    share_better : of the pairs in which the arm is strictly better: how often one future turns out better
    share_tied : of the pairs in which both have the same
    p_mean_better : probability that the *expected* difference is on the better side, given these pairs: Student's t about
        the mean, from a flat prior. NaN below two pairs; 0 or 1 where all differences are the same (0 where they are zero)
    """

    difference: Estimate
    correlation: float
    variance_ratio: float
    share_better: Estimate
    share_tied: float
    p_mean_better: float


@dataclass(frozen=True, slots=True, eq=False)
class Fan:
    """Where futures go: for each bucket of time the median and ranges around it.

    Attributes
    ----------
    median : (buckets,) NaN where no replication has a value
    ranges : as asked for, each a part of all futures
    low, high : (ranges, buckets) one more future lies between them with that probability; -inf, inf where there are too few
        replications to say (3, 9 and 39 are the least for 0.5, 0.8 and 0.95)
    n : (buckets,) replications that have a value
    """

    median: Vector
    ranges: tuple[float, ...]
    low: Vector
    high: Vector
    n: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class AgainstBest:
    """Each arm against the best of the others, all intervals at once.

    Attributes
    ----------
    difference : (arms,) mean of the arm - the best mean of the others, in the metric's unit
    low, high : (arms,) together they hold all true differences at ``level``
    may_be_best : (arms,) the data do not rule it out; holds the best arm at ``level``
    share_best : (arms,) of the replications that have a value in all arms, in which the arm is best; ties are shared out;
        NaN where there are none
    level : of all intervals together
    """

    difference: Vector
    low: Vector
    high: Vector
    may_be_best: NDArray[np.bool_]
    share_best: Vector
    level: float


def mean(values: ArrayLike, level: float = LEVEL) -> Estimate:
    """Expected value of a metric, with Student's t interval.

    Exact for normal values, good for means of many and for whatever is not much skewed; docs/concepts/experiment.md has
    its limits.

    Parameters
    ----------
    values : (replications,) in the metric's unit
    level : between 0 and 1

    Raises
    ------
    ValueError : if ``values`` has another shape or ``level`` is no probability.

    Examples
    --------
    >>> found = mean([4.0, 6.0, 8.0])
    >>> found.value, round(found.low, 2), round(found.high, 2)
    (6.0, 1.03, 10.97)
    >>> mean([4.0])
    Estimate(value=4.0, low=-inf, high=inf, level=0.95, n=1, undefined=0)
    """
    known, undefined = _defined(values, level)
    n = len(known)
    if n == 0:
        return Estimate(math.nan, -math.inf, math.inf, level, 0, undefined)
    if not np.isfinite(known).all():
        return Estimate(_sum(known), -math.inf, math.inf, level, n, undefined)
    value = float(known.mean())
    half = _half_width(known, level)
    return Estimate(value, value - half, value + half, level, n, undefined)


def quantile(values: ArrayLike, q: float, level: float = LEVEL) -> Estimate:
    """A quantile of a metric over all futures, with an interval between two of the values.

    Whatever the distribution, the interval holds the quantile at ``level`` or more, each side being missed with half of
    the rest at most. Source: David & Nagaraja, Order Statistics, 3rd ed., section 7.1. The value is that of Hyndman &
    Fan (1996), definition 6, within the values.

    Parameters
    ----------
    values : (replications,) in the metric's unit
    q : between 0 and 1
    level : between 0 and 1

    Raises
    ------
    ValueError : if ``values`` has another shape, or ``q`` or ``level`` is no probability.

    Examples
    --------
    >>> quantile(np.arange(1.0, 12.0), 0.5)
    Estimate(value=6.0, low=2.0, high=10.0, level=0.95, n=11, undefined=0)
    >>> quantile(np.arange(1.0, 12.0), 0.9).high
    inf
    """
    _check_probability("q", q)
    known, undefined = _defined(values, level)
    n = len(known)
    if n == 0:
        return Estimate(math.nan, -math.inf, math.inf, level, 0, undefined)
    known.sort()
    below, above = _ranks(n, q, level)
    low = -math.inf if below == 0 else float(known[below - 1])
    high = math.inf if above == n + 1 else float(known[above - 1])
    (value,) = _between(known[:, None], np.array([n]), q)
    return Estimate(float(value), low, high, level, n, undefined)


def share(count: float, n: int, level: float = LEVEL, undefined: int = 0) -> Estimate:
    """A probability from how often something happened, with Jeffreys' interval.

    Never having happened leaves 0 possible, always 1. Of none at all it is unknown, 0 to 1. Source: Brown, Cai & DasGupta
    (2001), Interval estimation for a binomial proportion, section 3.1.

    Raises
    ------
    ValueError : if ``count`` is not between 0 and ``n`` or ``level`` is no probability.

    Examples
    --------
    >>> found = share(0, 20)
    >>> found.value, found.low, round(found.high, 3)
    (0.0, 0.0, 0.117)
    """
    _check_probability("level", level)
    if not 0 <= count <= n:
        raise ValueError(f"count must be between 0 and n, got {count} of {n}")
    if n == 0:
        return Estimate(math.nan, 0.0, 1.0, level, 0, undefined)
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else float(stats.beta.ppf(tail, count + 0.5, n - count + 0.5))
    high = 1.0 if count == n else float(stats.beta.ppf(1 - tail, count + 0.5, n - count + 0.5))
    return Estimate(count / n, low, high, level, n, undefined)


def paired(arm: ArrayLike, reference: ArrayLike, *, lower_is_better: bool, level: float = LEVEL) -> Paired:
    """An arm against a reference that had the same luck.

    The interval is Student's t of the differences, so it needs nothing of how the two go together. Source: Law,
    Simulation Modeling and Analysis, 5th ed., sections 10.2 and 11.2.

    Parameters
    ----------
    arm, reference : (replications,) in the metric's unit, the same replication at the same place
    lower_is_better : which way is better, as with a cost
    level : between 0 and 1

    Raises
    ------
    ValueError : if the shapes differ or ``level`` is no probability.

    Examples
    --------
    >>> found = paired([3.0, 5.0, 6.0], [4.0, 7.0, 7.0], lower_is_better=True)
    >>> round(found.difference.value, 2), found.share_better.value, round(found.p_mean_better, 3)
    (-1.33, 1.0, 0.971)
    """
    a, b = np.asarray(arm, np.float64), np.asarray(reference, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"arm and reference must be (replications,) alike, got {a.shape} and {b.shape}")
    kept = ~(np.isnan(a) | np.isnan(b))
    a, b = a[kept], b[kept]
    undefined = int((~kept).sum())
    differences = _differences(a, b)
    found = mean(differences, level)
    better = (a < b) if lower_is_better else (a > b)
    correlation, ratio = _correlation(a, b)
    return Paired(
        difference=Estimate(found.value, found.low, found.high, level, len(a), undefined),
        correlation=correlation,
        variance_ratio=ratio,
        share_better=share(int(better.sum()), len(a), level, undefined),
        share_tied=float((a == b).mean()) if len(a) else math.nan,
        p_mean_better=_p_below_zero(differences if lower_is_better else -differences),
    )


def fan(values: ArrayLike, ranges: Sequence[float] = RANGES) -> Fan:
    """The median and ranges of futures in each bucket of time.

    The bounds are at rank (1 - range)/2 · (n + 1) and its mirror, between values where that is no whole number: one more
    replication lies between two order statistics with the probability that their ranks say, whatever the distribution
    (Wilks 1941; Hyndman & Fan 1996, definition 6). They are about single futures and do not narrow to a line with more
    replications.

    Parameters
    ----------
    values : (replications, buckets) in the metric's unit; NaN is left out of its bucket
    ranges : parts of all futures, each between 0 and 1

    Raises
    ------
    ValueError : if ``values`` has another shape or a range is no probability.

    Examples
    --------
    >>> found = fan(np.arange(1.0, 8.0)[:, None], ranges=(0.5, 0.95))
    >>> found.median, found.low[:, 0], found.high[:, 0]
    (array([4.]), array([  2., -inf]), array([ 6., inf]))
    """
    futures = np.asarray(values, np.float64)
    if futures.ndim != 2:
        raise ValueError(f"values must be (replications, buckets), got {futures.shape}")
    for each in ranges:
        _check_probability("ranges", each)
    n = (~np.isnan(futures)).sum(axis=0).astype(np.int64)
    ordered = np.sort(futures, axis=0)  # NaN goes last
    tails = [(1 - each) / 2 for each in ranges]
    return Fan(
        median=_between(ordered, n, 0.5),
        ranges=tuple(ranges),
        low=_stack([_beyond(_between(ordered, n, q), n, q, -math.inf) for q in tails], len(n)),
        high=_stack([_beyond(_between(ordered, n, 1 - q), n, q, math.inf) for q in tails], len(n)),
        n=n,
    )


def against_best(values: ArrayLike, *, lower_is_better: bool, level: float = LEVEL) -> AgainstBest:
    """Which of many arms may be best, and how far each is from the best of the others.

    Multiple comparisons with the best: only the arms - 1 comparisons with the true best must hold at once, so the level
    of each is 1 - (1 - level)/(arms - 1), not that of all pairs. Comparisons are Student's t of paired differences.
    Source: Hsu (1984), Annals of Statistics 12; Nelson & Matejcik (1995), Management Science 41, for common random
    numbers. Departs from both in giving each pair its own variance, held together by Bonferroni's inequality.

    Parameters
    ----------
    values : (arms, replications) in the metric's unit, two arms at least; a pair is left out where either side is NaN
    lower_is_better : which way is better
    level : of all together, between 0.5 and 1

    Raises
    ------
    ValueError : if there is one arm or another shape, or ``level`` is out of range.

    Examples
    --------
    >>> luck = np.array([0.0, 3.0, 1.0, 2.0])
    >>> found = against_best([luck, luck + 0.1, luck + [5.0, 6.0, 5.0, 6.0]], lower_is_better=True)
    >>> found.may_be_best, found.difference.round(1)
    (array([ True, False, False]), array([-0.1,  0.1,  5.5]))
    """
    if not 0.5 < level < 1:
        raise ValueError(f"level must be above 0.5 and below 1, got {level}")
    arms = np.asarray(values, np.float64)
    if arms.ndim != 2 or len(arms) < 2:
        raise ValueError(f"values must be (arms, replications) of two arms or more, got {arms.shape}")
    sign = 1.0 if lower_is_better else -1.0
    k = len(arms)
    each = 1 - 2 * (1 - level) / (k - 1)  # on one side
    apart, margin = np.full((k, k), math.nan), np.full((k, k), math.inf)
    for i in range(k):
        for j in range(i):
            both = ~(np.isnan(arms[i]) | np.isnan(arms[j]))
            found = mean(sign * _differences(arms[i, both], arms[j, both]), each)
            apart[i, j], margin[i, j] = found.value, found.half_width
            apart[j, i], margin[j, i] = -found.value, found.half_width
    others = ~np.eye(k, dtype=bool)
    with np.errstate(invalid="ignore"):  # a mean of "never" says nothing
        at_least = _furthest(apart - margin, others)
        at_most = _furthest(apart + margin, others, unknown=math.inf)
    low, high = np.minimum(at_least, 0.0), np.maximum(at_most, 0.0)
    may_be_best = at_least <= 0
    if may_be_best.sum() == 1:
        high[may_be_best] = 0.0
    difference = sign * _furthest(apart, others, unknown=math.nan)
    return AgainstBest(
        difference=difference,
        low=low if lower_is_better else -high,
        high=high if lower_is_better else -low,
        may_be_best=may_be_best,
        share_best=_share_best(sign * arms),
        level=level,
    )


def _check_probability(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must be between 0 and 1, got {value}")


def _defined(values: ArrayLike, level: float) -> tuple[Vector, int]:
    _check_probability("level", level)
    found = np.asarray(values, np.float64)
    if found.ndim != 1:
        raise ValueError(f"values must be (replications,), got {found.shape}")
    known = found[~np.isnan(found)]
    return known, len(found) - len(known)


def _sum(values: Vector) -> float:
    with np.errstate(invalid="ignore"):  # inf and -inf together are no number
        return float(values.sum())


def _half_width(known: Vector, level: float) -> float:
    n = len(known)
    if n < 2:
        return math.inf
    return float(stats.t.ppf((1 + level) / 2, n - 1) * known.std(ddof=1) / math.sqrt(n))


def _ranks(n: int, q: float, level: float) -> tuple[int, int]:
    """Of the values, from 1, between which the quantile lies; 0 and n + 1 are beyond them."""
    tail = (1 - level) / 2
    fewer = np.arange(n)
    below = int((stats.binom.cdf(fewer, n, q) <= tail).sum())
    above = n + 1 - int((stats.binom.sf(fewer, n, q) <= tail).sum())
    return below, above


def _between(ordered: Vector, n: NDArray[np.int64], q: float) -> Vector:
    """(buckets,) the quantile among the first n of each column of (replications, buckets), within them."""
    if len(ordered) == 0:
        return np.full(len(n), math.nan)
    last = np.maximum(n - 1, 0)
    place = np.clip(q * (n + 1) - 1, 0, last)
    first = np.floor(place + _ROUNDING).astype(np.int64)
    part = np.maximum(place - first, 0.0)
    low = np.take_along_axis(ordered, first[None, :], axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(first + 1, last)[None, :], axis=0)[0]
    with np.errstate(invalid="ignore"):
        found: Vector = np.where((part <= _ROUNDING) | (low == high), low, low + (high - low) * part)
    return found


def _beyond(bounds: Vector, n: NDArray[np.int64], tail: float, unbounded: float) -> Vector:
    return np.where(tail * (n + 1) < 1 - _ROUNDING, unbounded, bounds)


def _stack(rows: list[Vector], buckets: int) -> Vector:
    return np.array(rows, np.float64).reshape(len(rows), buckets)


def _differences(a: Vector, b: Vector) -> Vector:
    """a - b, and nothing between "never" and "never"."""
    with np.errstate(invalid="ignore"):
        return np.where(a == b, 0.0, a - b)


def _correlation(a: Vector, b: Vector) -> tuple[float, float]:
    """Of pairs, and the variance of their differences to that of independent ones."""
    if len(a) < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return math.nan, math.nan
    varies_a, varies_b = np.ptp(a) > 0, np.ptp(b) > 0
    if not (varies_a or varies_b):
        return math.nan, math.nan
    ratio = float((a - b).var(ddof=1) / (a.var(ddof=1) + b.var(ddof=1)))
    if len(a) < _LEAST_FOR_CORRELATION or not (varies_a and varies_b):
        return math.nan, ratio
    return float(np.corrcoef(a, b)[0, 1]), ratio


def _p_below_zero(differences: Vector) -> float:
    n = len(differences)
    if n < 2 or not np.isfinite(differences).all():
        return math.nan
    value, error = float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(n)
    return float(value < 0) if error == 0 else float(stats.t.cdf(-value / error, n - 1))


def _furthest(apart: Vector, others: NDArray[np.bool_], unknown: float = -math.inf) -> Vector:
    """(arms,) the largest to any other arm of (arms, arms)."""
    known = np.where(np.isnan(apart), unknown, apart)
    return np.asarray(np.where(others, known, -math.inf).max(axis=1), np.float64)


def _share_best(values: Vector) -> Vector:
    """(arms,) of the complete columns of (arms, replications) in which the arm has the least."""
    complete = values[:, ~np.isnan(values).any(axis=0)]
    if complete.shape[1] == 0:
        return np.full(len(values), math.nan)
    is_best = complete == complete.min(axis=0)
    return np.asarray((is_best / is_best.sum(axis=0)).mean(axis=1), np.float64)
