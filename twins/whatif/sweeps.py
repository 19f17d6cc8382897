"""Which points of a space of parameters to run: grids, Latin hypercubes and Sobol' sequences.

A design is a list of points, each a dict of name to value, in the order in which they are to be run. The same seed gives the
same design.

Source: McKay, Beckman & Conover (1979), Technometrics 21, for Latin hypercubes; Sobol' (1967), scrambled after Owen (1998),
for his sequences; both by ``scipy.stats.qmc``.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import qmc

Value = bool | int | float | str
Point = dict[str, Value]

MOST_POINTS: Final = 1_000_000
"""Of one design."""


@dataclass(frozen=True, slots=True)
class Range:
    """A number from ``low`` to ``high``.

    Attributes
    ----------
    low, high : bounds, in the parameter's unit, both within
    is_whole : whole numbers only, all equally often unless ``is_log``
    is_log : equal ratios count as equal steps; ``low`` above zero
    """

    low: float
    high: float
    is_whole: bool = False
    is_log: bool = False

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(f"low must be below high, got {self.low}, {self.high}")
        if self.is_log and self.low <= 0:
            raise ValueError(f"low must be above zero for equal ratios, got {self.low}")
        if self.is_whole and not (float(self.low).is_integer() and float(self.high).is_integer()):
            raise ValueError(f"bounds of whole numbers must be whole, got {self.low}, {self.high}")

    def at(self, part: float) -> float | int:
        """The value at a part, 0 to 1, of the way."""
        if part in (0.0, 1.0):  # the ends, to the last bit
            return (int if self.is_whole else float)(self.high if part else self.low)
        low, high = (self.low - 0.5, self.high + 0.5) if self.is_whole else (self.low, self.high)
        if self.is_log:
            found = math.exp(math.log(low) + part * (math.log(high) - math.log(low)))
        else:
            found = low + part * (high - low)
        if self.is_whole:
            return min(max(math.floor(found + 0.5), int(self.low)), int(self.high))
        return min(max(found, float(self.low)), float(self.high))


@dataclass(frozen=True, slots=True)
class Choices:
    """One of some values, all equally often and in no order."""

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) < len(self.values):
            raise ValueError(f"values must be one or more, each once, got {self.values}")

    def at(self, part: float) -> Value:
        """The value at a part, 0 to 1, of them."""
        return self.values[min(int(part * len(self.values)), len(self.values) - 1)]


Space = Mapping[str, Range | Choices]


def grid(space: Space, steps: int) -> list[Point]:
    """All combinations: each range cut into ``steps`` values with its ends, each of the choices.

    Parameters
    ----------
    space : name to range or choices; the last changes fastest
    steps : values of a range, two or more; fewer where so many whole numbers do not lie in it

    Raises
    ------
    ValueError : if the space is empty, ``steps`` is too small, or there would be more than ``MOST_POINTS``.

    Examples
    --------
    >>> grid({"crews": Range(1, 3, is_whole=True), "policy": Choices(("fixed", "condition"))}, steps=2)
    [{'crews': 1, 'policy': 'fixed'}, {'crews': 1, 'policy': 'condition'}, {'crews': 3, 'policy': 'fixed'}, \
{'crews': 3, 'policy': 'condition'}]
    """
    _check(space, 1)
    if steps < 2:
        raise ValueError(f"steps must be two or more, got {steps}")
    axes = [_axis(each, steps) for each in space.values()]
    _check(space, math.prod(len(each) for each in axes))
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*axes)]


def latin_hypercube(space: Space, points: int, seed: int) -> list[Point]:
    """Points at random, one in each of ``points`` equal parts of every parameter.

    Parameters
    ----------
    space : name to range or choices
    points : one or more
    seed : of the design, zero or more

    Raises
    ------
    ValueError : if the space is empty or ``points`` is not from one to ``MOST_POINTS``.

    Examples
    --------
    >>> sorted(each["crews"] for each in latin_hypercube({"crews": Range(1, 4, is_whole=True)}, 4, seed=1))
    [1, 2, 3, 4]
    """
    _check(space, points)
    return from_unit(space, qmc.LatinHypercube(len(space), rng=seed).random(points))


def sobol(space: Space, points: int, seed: int) -> list[Point]:
    """Points that fill the space evenly, the first n of them as well as all; powers of two fill it best.

    Parameters
    ----------
    space : name to range or choices
    points : one or more
    seed : of the scrambling, zero or more

    Raises
    ------
    ValueError : if the space is empty or ``points`` is not from one to ``MOST_POINTS``.

    Examples
    --------
    >>> sorted(each["crews"] for each in sobol({"crews": Range(1, 4, is_whole=True)}, 8, seed=1))
    [1, 1, 2, 2, 3, 3, 4, 4]
    """
    _check(space, points)
    power = max(points - 1, 0).bit_length()
    return from_unit(space, qmc.Sobol(len(space), rng=seed).random_base2(power)[:points])


def from_unit(space: Space, parts: ArrayLike) -> list[Point]:
    """Points from where they lie in the unit cube.

    Parameters
    ----------
    space : name to range or choices
    parts : (points, parameters) 0 to 1, parameters as in ``space``

    Raises
    ------
    ValueError : if the shape differs or a part is not from 0 to 1 (NaN is not).

    Examples
    --------
    >>> from_unit({"at": Range(0.0, 10.0), "spares": Choices((0, 2, 4))}, [[0.25, 0.5]])
    [{'at': 2.5, 'spares': 2}]
    """
    found: NDArray[np.float64] = np.asarray(parts, np.float64)
    if found.ndim != 2 or found.shape[1] != len(space):
        raise ValueError(f"parts must be (points, {len(space)}), got {found.shape}")
    if not ((found >= 0) & (found <= 1)).all():
        raise ValueError("parts must be from 0 to 1")
    return [
        {name: each.at(part) for (name, each), part in zip(space.items(), row, strict=True)}
        for row in found.tolist()
    ]


def _axis(of: Range | Choices, steps: int) -> list[Value]:
    if isinstance(of, Choices):
        return list(of.values)
    if not of.is_whole:
        return [of.at(part) for part in np.linspace(0, 1, steps).tolist()]
    space = np.geomspace if of.is_log else np.linspace
    return sorted({round(each) for each in space(of.low, of.high, steps).tolist()})


def _check(space: Space, points: int) -> None:
    if not space:
        raise ValueError("the space must have a parameter or more")
    if not 1 <= points <= MOST_POINTS:
        raise ValueError(f"points must be from 1 to {MOST_POINTS}, got {points}")
