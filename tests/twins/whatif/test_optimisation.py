"""A search finds what is good, and does not believe its own figures."""

import math
import sys

import numpy as np
import pytest

from twins.whatif.errors import ExtraMissingError, PointUndefinedError
from twins.whatif.optimisation import Budget, Optimum, optimise
from twins.whatif.sweeps import Choices, Point, Range

SPACE = {
    "at": Range(0.0, 1.0),
    "crews": Range(1, 6, is_whole=True),
    "policy": Choices(("fixed", "condition")),
}


def optuna() -> None:
    pytest.importorskip("optuna", reason="Optuna is an extra: experiments")


class Metric:
    """Best at 0.7, three crews, by condition; luck that every point shares, and luck of each point."""

    def __init__(self, own: float = 0.0, sign: float = 1.0) -> None:
        self.own = own
        self.sign = sign
        self.asked: list[tuple[list[Point], range]] = []

    def __call__(self, points: list[Point], replications: range) -> np.ndarray:
        self.asked.append((points, replications))
        return np.array([[self.one(each, r) for r in replications] for each in points])

    def truth(self, point: Point) -> float:
        at, crews = float(point["at"]), float(point["crews"])
        return self.sign * (10 * (at - 0.7) ** 2 + 0.5 * (crews - 3) ** 2 + 2 * (point["policy"] == "fixed"))

    def one(self, point: Point, r: int) -> float:
        shared = np.random.default_rng(r).normal()
        own = np.random.default_rng([r, round(float(point["at"]) * 1e9), int(point["crews"])]).normal()
        return self.truth(point) + 3 * shared + self.own * own


@pytest.mark.parametrize("lower", [True, False])
def test_the_best_region_is_found(lower: bool) -> None:
    optuna()
    metric = Metric(sign=1.0 if lower else -1.0)
    found = optimise(metric, SPACE, Budget(trials=80), lower_is_better=lower, seed=1)
    assert (found.best["crews"], found.best["policy"]) == (3, "condition")
    assert float(found.best["at"]) == pytest.approx(0.7, abs=0.12)
    values = [each.value for each in found.finalists]
    assert values == sorted(values, reverse=not lower)
    assert len({str(each.point) for each in found.finalists}) == len(found.finalists)


def facts(found: Optimum) -> tuple[object, ...]:
    return found.best, found.estimate, found.promised, found.finalists, found.trials


def test_the_same_seed_gives_the_same_search() -> None:
    optuna()
    budget = Budget(trials=30, batch=4, replications=range(4), fresh=range(4, 10))
    found = [facts(optimise(Metric(1.0), SPACE, budget, lower_is_better=True, seed=s)) for s in (3, 3, 4)]
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_a_point_is_run_once_and_finalists_with_luck_of_their_own() -> None:
    optuna()
    metric = Metric()
    space = {"at": Choices((0.1, 0.7)), "crews": Range(2, 3, is_whole=True), "policy": Choices(("fixed",))}
    seen: list[int] = []
    found = optimise(
        metric, space, Budget(trials=21, batch=8), lower_is_better=True, seed=1, follow=seen.append
    )
    assert seen == [8, 16, 21]
    searched = [str(p) for points, replications in metric.asked[:-1] for p in points]
    assert len(searched) == len(set(searched)) <= 4
    assert {replications for _, replications in metric.asked[:-1]} == {range(16)}
    assert metric.asked[-1][1] == range(16, 80)
    assert len(found.trials) == 21
    assert len(found.finalists) == len(searched)


def test_fresh_luck_undoes_the_winners_curse() -> None:
    """Points that are all alike: the search promises what is not there, the answer does not."""
    optuna()

    class Alike(Metric):
        def truth(self, point: Point) -> float:
            return 0.0

        def one(self, point: Point, r: int) -> float:
            return float(np.random.default_rng([r, hash(tuple(point.values())) % 2**32]).normal())

    space = {"a": Range(0.0, 1.0)}
    budget = Budget(trials=40, batch=20, replications=range(4), fresh=range(4, 44), finalists=3)
    found = [optimise(Alike(), space, budget, lower_is_better=True, seed=s, level=0.9) for s in range(40)]
    promised = np.mean([each.promised for each in found])
    estimated = np.mean([each.estimate.value for each in found])
    assert promised < -0.7
    assert abs(estimated) < 0.25
    assert np.mean([each.estimate.holds(0.0) for each in found]) > 0.75
    assert found[0].comparison is not None
    assert found[0].estimate.level == pytest.approx(1 - 0.1 / 3)


def test_points_without_a_value_are_passed_over() -> None:
    optuna()

    def evaluate(points: list[Point], replications: range) -> np.ndarray:
        at = np.array([[float(each["at"])] for each in points])
        return np.where(at < 0.5, math.nan, at) + np.zeros(len(replications))

    found = optimise(evaluate, {"at": Range(0.0, 1.0)}, Budget(trials=30), lower_is_better=True, seed=1)
    assert float(found.best["at"]) >= 0.5
    assert any(math.isnan(each.value) for each in found.trials)
    with pytest.raises(PointUndefinedError):
        optimise(evaluate, {"at": Range(0.0, 0.4)}, Budget(trials=5), lower_is_better=True, seed=1)

    def never_again(points: list[Point], replications: range) -> np.ndarray:
        return np.full((len(points), len(replications)), math.nan if replications.start else 1.0)

    with pytest.raises(PointUndefinedError):
        optimise(never_again, {"at": Range(0.0, 0.4)}, Budget(trials=5), lower_is_better=True, seed=1)


def test_one_finalist_has_nothing_to_be_compared_with() -> None:
    optuna()
    found = optimise(Metric(), SPACE, Budget(trials=5, finalists=1), lower_is_better=True, seed=1)
    assert found.comparison is None
    assert found.estimate.level == pytest.approx(0.95)


def test_it_keeps_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    optuna()
    optimise(Metric(), SPACE, Budget(trials=5), lower_is_better=True, seed=1)
    assert capfd.readouterr() == ("", "")


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ExtraMissingError, match="Optuna is not installed"):
        optimise(Metric(), SPACE, Budget(), lower_is_better=True, seed=1)


def test_what_makes_no_sense_is_refused() -> None:
    for call in (
        lambda: Budget(trials=0),
        lambda: Budget(replications=range(0)),
        lambda: Budget(fresh=range(10, 30)),
        lambda: Budget(fresh=range(20, 21)),
        lambda: optimise(Metric(), {}, Budget(), lower_is_better=True, seed=1),
        lambda: optimise(Metric(), SPACE, Budget(), lower_is_better=True, seed=-1),
        lambda: optimise(Metric(), SPACE, Budget(), lower_is_better=True, seed=1, level=0.3),
    ):
        with pytest.raises(ValueError, match="must"):
            call()
