"""How many replications are enough: until the interval of a mean is as narrow as was asked for.

Sequential sampling after Chow & Robbins (1965), On the asymptotic theory of fixed-width sequential confidence intervals,
Annals of Mathematical Statistics 36: run until the half-width of Student's t interval is what was wanted. Where the width is
relative, it is held against the mean by Law's correction (Simulation Modeling and Analysis, 5th ed., section 9.4.1), since
the mean is itself estimated. Departs from both in looking only after batches, whose size follows from what is still
missing: each look is a chance to stop by luck, and too narrow intervals come of many looks at few values. So ``at_least``
is worth more than it costs.

Where one of several metrics or arms needs more, all go on: take the largest of what each wants.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from twins.whatif.intervals import LEVEL, mean


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """When to stop.

    Attributes
    ----------
    absolute : half-width wanted, in the metric's unit, above zero; None: none
    relative : half-width wanted, as a part of the size of a mean, above zero; None: none. Of both, either is enough; of
        neither, ``at_least`` replications are made
    level : of the interval
    at_least : replications with a value before it may stop, two or more
    at_most : replications, with or without a value
    batch : replications come in multiples of it
    """

    absolute: float | None = None
    relative: float | None = None
    level: float = LEVEL
    at_least: int = 20
    at_most: int = 1000
    batch: int = 10

    def __post_init__(self) -> None:
        for name, width in (("absolute", self.absolute), ("relative", self.relative)):
            if width is not None and not 0 < width < math.inf:
                raise ValueError(f"{name} must be above zero, got {width}")
        if not 0 < self.level < 1:
            raise ValueError(f"level must be between 0 and 1, got {self.level}")
        if not 2 <= self.at_least <= self.at_most:
            raise ValueError(f"at_least must be from 2 to at_most, got {self.at_least}, {self.at_most}")
        if self.batch < 1:
            raise ValueError(f"batch must be one or more, got {self.batch}")


def more_wanted(values_so_far: ArrayLike, rule: StoppingRule, relative_to: ArrayLike | None = None) -> int:
    """How many more replications to run before asking again; 0: stop.

    A step asks for what would be enough if spread and mean stayed as they are, and for as many as there are at most.

    Parameters
    ----------
    values_so_far : (replications,) of the metric, or of paired differences of two arms, in its unit; NaN is a replication
        that was run and has no value: it counts for ``at_most`` only
    rule : when to stop
    relative_to : (replications,) whose mean a relative width is a part of, in the same unit; None: the values themselves.
        Differences want their reference arm here: as a part of themselves those of like arms are never narrow.

    Raises
    ------
    ValueError : if a shape is another.

    Examples
    --------
    >>> rule = StoppingRule(absolute=1.0, at_least=4, at_most=100, batch=4)
    >>> more_wanted([], rule), more_wanted([1.0, 2.0, 3.0, 4.0], rule), more_wanted([1.0, 1.1, 0.9, 1.0], rule)
    (4, 4, 0)
    """
    values = np.asarray(values_so_far, np.float64)
    found, wanted = mean(values, rule.level), _wanted(values, rule, relative_to)
    left = max(rule.at_most - len(values), 0)
    if found.n < rule.at_least:
        return min(_batches(rule.at_least - found.n, rule.batch), left)
    if found.half_width <= wanted or (rule.absolute is None and rule.relative is None):
        return 0
    missing = found.n * ((found.half_width / wanted) ** 2 - 1) if wanted > 0 else math.inf
    steps = min(max(missing, 1.0), float(found.n))
    return min(_batches(math.ceil(steps), rule.batch), left)


def is_narrow(values_so_far: ArrayLike, rule: StoppingRule, relative_to: ArrayLike | None = None) -> bool:
    """Whether the interval is as narrow as was wanted, as opposed to sampling having ended at ``at_most``.

    Parameters
    ----------
    values_so_far, rule, relative_to : as for ``more_wanted``; NaN is left out

    Raises
    ------
    ValueError : if a shape is another.

    Examples
    --------
    >>> is_narrow([1.0, 2.0, 3.0], StoppingRule(absolute=0.1)), is_narrow([1.0, 2.0, 3.0], StoppingRule(absolute=10.0))
    (False, True)
    """
    return mean(values_so_far, rule.level).half_width <= _wanted(values_so_far, rule, relative_to)


def _wanted(values: ArrayLike, rule: StoppingRule, relative_to: ArrayLike | None) -> float:
    """Half-width that is enough; zero where none is."""
    value = mean(values if relative_to is None else relative_to).value
    widths = [0.0]
    if rule.absolute is not None:
        widths.append(rule.absolute)
    if rule.relative is not None and math.isfinite(value):
        widths.append(rule.relative / (1 + rule.relative) * abs(value))
    return max(widths)


def _batches(count: int, batch: int) -> int:
    return math.ceil(count / batch) * batch
