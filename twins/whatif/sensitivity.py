"""Which parameters of a what-if matter, by Morris' screening and Sobol' indices.

A point's value is its mean over replications. All points share their luck, so what differs between two of them comes of the
parameters more than of chance; what is left of chance counts as effects. NaN is left out of a point's mean. Choices have
no order: their effect says that they matter, its sign means nothing.

Source: Morris (1991), Technometrics 33; Campolongo, Cariboni & Saltelli (2007), Environmental Modelling & Software 22;
Saltelli et al. (2010), Computer Physics Communications 181; all by SALib, which is an extra.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twins.whatif.errors import ExtraMissingError, PointUndefinedError
from twins.whatif.intervals import LEVEL
from twins.whatif.sweeps import Point, Space, from_unit

Vector = NDArray[np.float64]

Evaluate = Callable[[list[Point], range], Vector]
"""Points, and which replications to run of each, to (points, replications) of the metric. The same replication has the same
luck, at every point and in every call."""

_LEVELS: Final = 4  # of Morris' grid, as in his paper


@dataclass(frozen=True, slots=True)
class Influence:
    """What a parameter does, from one end of its range to the other, if effects were everywhere as those that were seen.

    Attributes
    ----------
    name : of the parameter
    mean : effect on the metric, in its unit, up or down
    size : mean size of effects, whatever their sign, in the metric's unit: the figure to rank by
    size_half_width : of its interval, by bootstrap over trajectories
    spread : standard deviation of effects, in the metric's unit; large beside ``size`` where the parameter acts differently
        from place to place, or together with others
    """

    name: str
    mean: float
    size: float
    size_half_width: float
    spread: float


@dataclass(frozen=True, slots=True)
class SobolIndex:
    """What part of the metric's variance over the space comes of a parameter. NaN where nothing varies.

    Attributes
    ----------
    name : of the parameter
    first : by itself; estimates can be a little below zero
    first_half_width : of its interval, by bootstrap
    total : with all that it does together with others; near zero: it can be left at any value
    total_half_width : of its interval, by bootstrap
    """

    name: str
    first: float
    first_half_width: float
    total: float
    total_half_width: float


def morris(
    evaluate: Evaluate,
    space: Space,
    replications: range,
    seed: int,
    trajectories: int = 20,
    level: float = LEVEL,
) -> list[Influence]:
    """A screening: effects of single steps at ``trajectories`` places, by few points.

    Costs trajectories · (parameters + 1) points.

    Parameters
    ----------
    evaluate : asked once, for all points
    space : name to range or choices
    replications : to run of each point
    seed : of the places and of the bootstrap, zero or more
    trajectories : two or more
    level : of the intervals, between 0 and 1

    Returns
    -------
    As in ``space``.

    Raises
    ------
    ExtraMissingError : if SALib is not installed.
    PointUndefinedError : if a point has no value in any replication.
    ValueError : if the space is empty, a number is out of range, or ``evaluate`` gave another shape.
    """
    _check(space, seed, level)
    if trajectories < 2:
        raise ValueError(f"trajectories must be two or more, got {trajectories}")
    try:
        from SALib.analyze import morris as analysis
        from SALib.sample.morris import sample
    except ImportError as error:
        raise ExtraMissingError("SALib") from error
    problem = _problem(space)
    parts = np.asarray(sample(problem, trajectories, num_levels=_LEVELS, seed=seed), np.float64)
    values = point_means(evaluate, from_unit(space, parts), replications)
    found = analysis.analyze(problem, parts, values, conf_level=level, num_levels=_LEVELS, seed=seed)
    columns = (found["mu"], found["mu_star"], found["mu_star_conf"], found["sigma"])
    return [Influence(name, *map(float, row)) for name, *row in zip(space, *columns, strict=True)]


def sobol_indices(
    evaluate: Evaluate,
    space: Space,
    replications: range,
    seed: int,
    base: int = 128,
    level: float = LEVEL,
) -> list[SobolIndex]:
    """Parts of variance, by many points.

    Costs base · (parameters + 2) points; some hundred to a thousand of ``base`` are needed before small indices can be told
    apart.

    Parameters
    ----------
    evaluate : asked once, for all points
    space : name to range or choices
    replications : to run of each point
    seed : of the design and of the bootstrap, zero or more
    base : points of the underlying sequence, a power of two, two or more
    level : of the intervals, between 0 and 1

    Returns
    -------
    As in ``space``.

    Raises
    ------
    ExtraMissingError : if SALib is not installed.
    PointUndefinedError : if a point has no value in any replication.
    ValueError : if the space is empty, a number is out of range, or ``evaluate`` gave another shape.
    """
    _check(space, seed, level)
    if base < 2 or base & (base - 1):
        raise ValueError(f"base must be a power of two, two or more, got {base}")
    try:
        from SALib.analyze import sobol as analysis
        from SALib.sample.sobol import sample
    except ImportError as error:
        raise ExtraMissingError("SALib") from error
    problem = _problem(space)
    parts = np.asarray(sample(problem, base, calc_second_order=False, seed=seed), np.float64)
    values = point_means(evaluate, from_unit(space, parts), replications)
    if np.ptp(values) == 0:
        nan = float("nan")
        return [SobolIndex(name, nan, nan, nan, nan) for name in space]
    found = analysis.analyze(
        problem,
        values,
        calc_second_order=False,
        conf_level=level,
        seed=seed + 1,  # it takes 0 for none
    )
    columns = (found["S1"], found["S1_conf"], found["ST"], found["ST_conf"])
    return [SobolIndex(name, *map(float, row)) for name, *row in zip(space, *columns, strict=True)]


def point_means(evaluate: Evaluate, points: list[Point], replications: range) -> Vector:
    """(points,) mean over the replications that have a value.

    Raises
    ------
    PointUndefinedError : if a point has none, or its mean is infinite.
    ValueError : if ``replications`` is empty or ``evaluate`` gave another shape than (points, replications).
    """
    values = evaluated(evaluate, points, replications)
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Vector = np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)
    for point in np.flatnonzero(~np.isfinite(means)):
        raise PointUndefinedError(str(points[point]))
    return means


def evaluated(evaluate: Evaluate, points: list[Point], replications: range) -> Vector:
    """(points, replications) of the metric, its shape checked.

    Raises
    ------
    ValueError : if ``replications`` is empty or ``evaluate`` gave another shape.
    """
    if not replications:
        raise ValueError("replications must be one or more")
    values = np.asarray(evaluate(points, replications), np.float64)
    if values.shape != (len(points), len(replications)):
        raise ValueError(
            f"values must be (points, replications) = {len(points), len(replications)}, got {values.shape}"
        )
    return values


def _problem(space: Space) -> dict[str, Any]:
    return {"num_vars": len(space), "names": list(space), "bounds": [[0.0, 1.0]] * len(space)}


def _check(space: Space, seed: int, level: float) -> None:
    if not space:
        raise ValueError("the space must have a parameter or more")
    if seed < 0 or not 0 < level < 1:
        raise ValueError(f"seed must be zero or more, level must be between 0 and 1, got {seed}, {level}")
