"""Search of a space of parameters for the point that is best on average, over the same luck at every point.

The best of many noisy values looks better than it is (the winner's curse), and shared luck lets a search fit itself to the
luck it has. So the best few of the search are run again with fresh luck, and the answer is theirs.

Source: Bergstra et al. (2011), Algorithms for hyper-parameter optimization, NeurIPS 24 (the tree-structured Parzen
estimator), by Optuna, which is an extra; Smith & Winkler (2006), Management Science 52, for the winner's curse.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twins.whatif.errors import ExtraMissingError, PointUndefinedError
from twins.whatif.intervals import LEVEL, AgainstBest, Estimate, against_best, mean
from twins.whatif.sensitivity import Evaluate, evaluated
from twins.whatif.sweeps import Choices, Point, Range, Space

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Budget:
    """What a search may cost.

    Attributes
    ----------
    trials : points to be tried, those that come up again among them
    batch : points that are asked for at a time, so that they can run side by side
    replications : of each, always the same luck
    finalists : how many of the best are run again
    fresh : replications of them that the search has not seen
    """

    trials: int = 100
    batch: int = 8
    replications: range = range(16)
    finalists: int = 5
    fresh: range = range(16, 80)

    def __post_init__(self) -> None:
        if min(self.trials, self.batch, self.finalists) < 1:
            raise ValueError(
                f"trials, batch and finalists must be one or more, got {self.trials}, {self.batch}, {self.finalists}"
            )
        if not self.replications or len(self.fresh) < 2:
            raise ValueError("replications must be one or more, fresh ones two")
        if set(self.fresh) & set(self.replications):
            raise ValueError(f"fresh replications must not be those of the search, got {self.fresh}")


@dataclass(frozen=True, slots=True)
class Trial:
    """A point that was tried, with its mean over the replications of the search; NaN: the metric has no value there."""

    point: Point
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """What a search has found.

    Attributes
    ----------
    best : the finalist with the best mean over fresh replications
    estimate : its expected value from fresh replications alone, with an interval that holds at its level whichever of the
        finalists was picked (Bonferroni)
    promised : its mean in the search, which tends to be too good
    finalists : best first by the search, each once
    comparison : of the finalists over fresh replications, in that order; None of a single one
    trials : all points of the search, in order
    """

    best: Point
    estimate: Estimate
    promised: float
    finalists: tuple[Trial, ...]
    comparison: AgainstBest | None
    trials: tuple[Trial, ...]


def optimise(
    evaluate: Evaluate,
    space: Space,
    budget: Budget,
    *,
    lower_is_better: bool,
    seed: int,
    level: float = LEVEL,
    follow: Callable[[int], None] | None = None,
) -> Optimum:
    """Search, then run the best few again with fresh luck.

    The same seed and the same ``evaluate`` give the same search. A point that comes up again is not run again: it would have
    the same luck. NaN is left out of a point's mean; a point without any value is passed over.

    Parameters
    ----------
    evaluate : asked for a batch of points at a time, and at last for the finalists
    space : name to range or choices
    budget : what it may cost
    lower_is_better : which way is better
    seed : of the search, zero or more
    level : of the answer's interval, between 0.5 and 1
    follow : told the number of trials after each batch; what it raises ends the search

    Raises
    ------
    ExtraMissingError : if Optuna is not installed.
    PointUndefinedError : if no point that was tried has a value, or no finalist has one in fresh replications.
    ValueError : if the space is empty, a number is out of range, or ``evaluate`` gave another shape.
    """
    if not space:
        raise ValueError("the space must have a parameter or more")
    if seed < 0 or not 0.5 < level < 1:
        raise ValueError(f"seed must be zero or more, level must be between 0.5 and 1, got {seed}, {level}")
    trials = _search(evaluate, space, budget, lower_is_better, seed, follow or (lambda _: None))
    finalists = _best(trials, budget.finalists, lower_is_better)
    if not finalists:
        raise PointUndefinedError(str(trials[0].point))
    values = evaluated(evaluate, [each.point for each in finalists], budget.fresh)
    found = [mean(each, 1 - (1 - level) / len(finalists)) for each in values]
    ranked = [
        math.inf if math.isnan(each.value) else each.value if lower_is_better else -each.value
        for each in found
    ]
    best = int(np.argmin(ranked))
    if math.isnan(found[best].value):
        raise PointUndefinedError(str(finalists[0].point))
    return Optimum(
        best=finalists[best].point,
        estimate=found[best],
        promised=finalists[best].value,
        finalists=finalists,
        comparison=against_best(values, lower_is_better=lower_is_better, level=level)
        if len(finalists) > 1
        else None,
        trials=trials,
    )


def _search(
    evaluate: Evaluate,
    space: Space,
    budget: Budget,
    lower_is_better: bool,
    seed: int,
    follow: Callable[[int], None],
) -> tuple[Trial, ...]:
    try:
        import optuna
    except ImportError as error:
        raise ExtraMissingError("Optuna") from error
    wanted = {name: _distribution(optuna, each) for name, each in space.items()}
    known: dict[tuple[Any, ...], float] = {}
    trials: list[Trial] = []
    with _quiet(optuna):
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        study = optuna.create_study(direction="minimize" if lower_is_better else "maximize", sampler=sampler)
        while len(trials) < budget.trials:
            asked = [study.ask(wanted) for _ in range(min(budget.batch, budget.trials - len(trials)))]
            points = [{name: each.params[name] for name in space} for each in asked]
            new = list(
                {tuple(each.values()): each for each in points if tuple(each.values()) not in known}.values()
            )
            if new:
                means = _means(evaluated(evaluate, new, budget.replications))
                known.update((tuple(each.values()), value) for each, value in zip(new, means, strict=True))
            for trial, point in zip(asked, points, strict=True):
                value = known[tuple(point.values())]
                if math.isfinite(value):
                    study.tell(trial, value)
                else:
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
                trials.append(Trial(point, value))
            follow(len(trials))
    return tuple(trials)


def _best(trials: tuple[Trial, ...], count: int, lower_is_better: bool) -> tuple[Trial, ...]:
    """Each point once, best first; of equals the earlier."""
    once: dict[tuple[Any, ...], Trial] = {}
    for each in trials:
        if math.isfinite(each.value):
            once.setdefault(tuple(each.point.values()), each)
    ordered = sorted(once.values(), key=lambda each: each.value if lower_is_better else -each.value)
    return tuple(ordered[:count])


def _means(values: Vector) -> list[float]:
    return [mean(each).value for each in values]


def _distribution(optuna: Any, of: Range | Choices) -> Any:
    if isinstance(of, Choices):
        return optuna.distributions.CategoricalDistribution(of.values)
    if of.is_whole:
        return optuna.distributions.IntDistribution(int(of.low), int(of.high), log=of.is_log)
    return optuna.distributions.FloatDistribution(of.low, of.high, log=of.is_log)


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Optuna tells of every trial on standard error."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
