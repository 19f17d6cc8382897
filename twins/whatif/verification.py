"""How good forecasts were, held against what then happened.

A case is one forecast: an ensemble of futures (its members) and the value that came true. Fair scores judge an ensemble as a
sample of a distribution, so that few members are not punished for being few. NaN members are left out of their case; a case
whose value is NaN (it has not come true yet) has no score and is counted as ``undefined``.

Intervals take cases for independent. Cases that share a device, or a fork whose futures overlap, are worth fewer than
they are; give one mean for each such group instead.

Source: Gneiting & Raftery (2007), Strictly proper scoring rules, JASA 102; Ferro (2014), Fair scores for ensemble forecasts,
QJRMS 140; Gneiting, Balabdaoui & Raftery (2007), JRSS B 69, for calibration.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twins.whatif.intervals import LEVEL, Estimate, fan, mean, share

Vector = NDArray[np.float64]


def crps(members: ArrayLike, observed: ArrayLike) -> Vector:
    """Continuous ranked probability score of each case: less is better, zero is a sure and right forecast.

    The fair estimator: mean distance of the members to what came true, less half the mean distance of two different
    members. It can be below zero where members happen to lie close around the truth; only means over cases tell.

    Parameters
    ----------
    members : (cases, members) in the metric's unit
    observed : (cases,) in the same unit

    Returns
    -------
    (cases,) in the same unit. NaN below two members, where nothing came true, or where a value is infinite.

    Raises
    ------
    ValueError : if the shapes do not go together.

    Examples
    --------
    >>> crps([[1.0, 3.0], [1.0, 3.0]], [2.0, 6.0])
    array([0., 3.])
    """
    ensemble, truth = _cases(members, observed)
    ensemble = np.where(np.isinf(ensemble).any(axis=1, keepdims=True), math.nan, ensemble)
    truth = np.where(np.isinf(truth), math.nan, truth)
    known = ~np.isnan(ensemble)
    m = known.sum(axis=1)
    filled = np.where(known, ensemble, 0.0)
    distance = np.where(known, np.abs(filled - truth[:, None]), 0.0).sum(axis=1)
    ordered = np.sort(ensemble, axis=1)  # NaN goes last
    weight = 2 * np.arange(ensemble.shape[1]) - m[:, None] + 1
    apart = np.where(np.isnan(ordered), 0.0, ordered * weight).sum(axis=1)  # of all pairs, each once
    with np.errstate(invalid="ignore", divide="ignore"):
        score = distance / m - apart / (m * (m - 1.0))
    return np.asarray(np.where(m < 2, math.nan, score), np.float64)


def coverage(members: ArrayLike, observed: ArrayLike, inside: float, level: float = LEVEL) -> Estimate:
    """How often the truth fell within the range that was to hold ``inside`` of all futures.

    The range is that of ``intervals.fan``. Well calibrated is where ``inside`` lies within the interval (Jeffreys').

    Parameters
    ----------
    members : (cases, members) in the metric's unit
    observed : (cases,) in the same unit
    inside : part of all futures, between 0 and 1
    level : of the interval, between 0 and 1

    Returns
    -------
    A share of the cases. Those with too few members for such a range (``intervals.Fan``) are undefined, as are those in
    which nothing came true.

    Raises
    ------
    ValueError : if the shapes do not go together or ``inside`` or ``level`` is no probability.

    Examples
    --------
    >>> found = coverage(np.tile(np.arange(9.0), (4, 1)), [0.0, 4.0, 8.0, 9.0], inside=0.8)
    >>> found.value, round(found.low, 2), round(found.high, 2)
    (0.75, 0.28, 0.97)
    """
    ensemble, truth = _cases(members, observed)
    band = fan(ensemble.T, ranges=(inside,))
    low, high = band.low[0], band.high[0]
    told = ~np.isnan(truth) & ~(np.isneginf(low) & np.isposinf(high))
    within = (low <= truth) & (truth <= high) & told
    n = int(told.sum())
    return share(int(within.sum()), n, level, undefined=len(truth) - n)


def bias(members: ArrayLike, observed: ArrayLike, level: float = LEVEL) -> Estimate:
    """How much too high forecasts are: the expected value of the members' mean less what came true.

    Parameters
    ----------
    members : (cases, members) in the metric's unit
    observed : (cases,) in the same unit
    level : of the interval (Student's t), between 0 and 1

    Raises
    ------
    ValueError : if the shapes do not go together or ``level`` is no probability.

    Examples
    --------
    >>> bias([[1.0, 3.0], [2.0, 6.0], [5.0, 5.0]], [1.0, 3.0, 4.0]).value
    1.0
    """
    ensemble, truth = _cases(members, observed)
    known = ~np.isnan(ensemble)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = np.where(known, ensemble, 0.0).sum(axis=1) / known.sum(axis=1)
        return mean(centre - truth, level)


def pit(members: ArrayLike, observed: ArrayLike, seed: int) -> Vector:
    """Where the truth fell among the members: 0 below all, 1 above all.

    Probability integral transform by rank, spread evenly within its rank and over ties. If truth and members come from
    one distribution, continuous or not, it is uniform; a hump in the middle is a forecast too wide, humps at the ends one
    too narrow, a slope a bias.

    Parameters
    ----------
    members : (cases, members) in any unit
    observed : (cases,) in the same unit
    seed : of the spreading

    Returns
    -------
    (cases,) from 0 to 1; NaN without members or where nothing came true.

    Raises
    ------
    ValueError : if the shapes do not go together.

    Examples
    --------
    >>> found = pit([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], [0.5, 2.5], seed=1)
    >>> bool(found[0] < 1 / 4), bool(2 / 4 < found[1] < 3 / 4)
    (True, True)
    """
    ensemble, truth = _cases(members, observed)
    m = (~np.isnan(ensemble)).sum(axis=1)
    below = (ensemble < truth[:, None]).sum(axis=1)
    tied = (ensemble == truth[:, None]).sum(axis=1)
    spread = np.random.default_rng(seed).random(len(truth))
    found = (below + spread * (tied + 1)) / (m + 1)
    return np.asarray(np.where(np.isnan(truth) | (m == 0), math.nan, found), np.float64)


def _cases(members: ArrayLike, observed: ArrayLike) -> tuple[Vector, Vector]:
    ensemble, truth = np.asarray(members, np.float64), np.asarray(observed, np.float64)
    if ensemble.ndim != 2 or truth.shape != ensemble.shape[:1]:
        raise ValueError(
            f"members must be (cases, members), observed (cases,), got {ensemble.shape}, {truth.shape}"
        )
    return ensemble, truth
