"""Sensitivity held to functions whose effects and indices are known."""

import math
import pickle
import sys

import numpy as np
import pytest

from twins.whatif.errors import ExtraMissingError, PointUndefinedError
from twins.whatif.sensitivity import Evaluate, morris, point_means, sobol_indices
from twins.whatif.sweeps import Choices, Point, Range


def salib() -> None:
    pytest.importorskip("SALib", reason="SALib is an extra: experiments")


def of(function, noise: float = 0.0) -> Evaluate:  # type: ignore[no-untyped-def]
    """A metric with luck of its own for each replication, the same at all points."""

    def evaluate(points: list[Point], replications: range) -> np.ndarray:
        luck = np.array([np.random.default_rng(r).normal() for r in replications])
        return np.array([[float(function(**each))] for each in points]) + noise * luck

    return evaluate


LINEAR = {"a": Range(0.0, 2.0), "b": Range(-1.0, 1.0), "c": Range(0.0, 1.0)}


def test_effects_of_a_linear_model_are_its_slopes_whatever_the_luck() -> None:
    salib()
    found = morris(of(lambda a, b, c: 3 * a - 2 * b + 0 * c, noise=5.0), LINEAR, range(3), seed=0)
    assert [each.name for each in found] == ["a", "b", "c"]
    assert [each.mean for each in found] == pytest.approx([6.0, -4.0, 0.0], abs=1e-9)
    assert [each.size for each in found] == pytest.approx([6.0, 4.0, 0.0], abs=1e-9)
    assert [each.spread for each in found] == pytest.approx([0.0] * 3, abs=1e-9)
    assert [each.size_half_width for each in found] == pytest.approx([0.0] * 3, abs=1e-9)


def test_what_acts_together_spreads() -> None:
    salib()
    space = {"a": Range(0.0, 1.0), "b": Range(0.0, 1.0), "kind": Choices(("x", "y"))}
    found = morris(of(lambda a, b, kind: 4 * a * b + (kind == "y")), space, range(1), seed=2)
    by_name = {each.name: each for each in found}
    assert by_name["a"].spread > 0.5
    assert by_name["kind"].size > 0.5


def test_indices_are_those_of_ishigamis_function() -> None:
    """Closed forms for a = 7, b = 0.1: Saltelli et al., Global Sensitivity Analysis, section 4.6."""
    salib()
    a, b = 7.0, 0.1
    space = {name: Range(-math.pi, math.pi) for name in ("x", "y", "z")}
    first = [0.5 * (1 + b * math.pi**4 / 5) ** 2, a**2 / 8, 0.0]
    both = b**2 * math.pi**8 * (1 / 18 - 1 / 50)
    variance = sum(first) + both
    found = sobol_indices(
        of(lambda x, y, z: math.sin(x) + a * math.sin(y) ** 2 + b * z**4 * math.sin(x), noise=1.0),
        space, range(2), seed=0, base=1024, level=0.999,
    )  # fmt: skip
    for each, expected in zip(found, first, strict=True):
        assert each.first == pytest.approx(expected / variance, abs=max(each.first_half_width, 0.02))
    for each, expected in zip(found, [first[0] + both, first[1], both], strict=True):
        assert each.total == pytest.approx(expected / variance, abs=max(each.total_half_width, 0.02))


@pytest.mark.parametrize("seed", [0, 5])
def test_the_same_seed_gives_the_same_answer(seed: int) -> None:
    salib()
    for ask in (morris, sobol_indices):
        found = ask(of(lambda a, b, c: a * b + c), LINEAR, range(2), seed)
        assert ask(of(lambda a, b, c: a * b + c), LINEAR, range(2), seed) == found
        assert ask(of(lambda a, b, c: a * b + c), LINEAR, range(2), seed + 1) != found


def test_where_nothing_varies_there_are_no_indices() -> None:
    salib()
    found = sobol_indices(of(lambda a, b, c: 1.0), LINEAR, range(1), seed=1, base=4)
    assert all(math.isnan(each.first) and math.isnan(each.total) for each in found)
    assert all(each.size == 0.0 for each in morris(of(lambda a, b, c: 1.0), LINEAR, range(1), seed=1))


def test_points_without_a_value_are_an_error_and_single_replications_are_not() -> None:
    nan = math.nan
    points: list[Point] = [{"a": 1.0}, {"a": 2.0}]
    assert point_means(lambda p, r: np.array([[1.0, nan], [2.0, 4.0]]), points, range(2)).tolist() == [
        1.0,
        3.0,
    ]
    with pytest.raises(PointUndefinedError, match=r"'a': 2\.0") as caught:
        point_means(lambda p, r: np.array([[1.0, nan], [nan, nan]]), points, range(2))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(ValueError, match="must be"):
        point_means(lambda p, r: np.zeros((1, 2)), points, range(2))
    with pytest.raises(ValueError, match="must be"):
        point_means(lambda p, r: np.zeros((2, 0)), points, range(0))


@pytest.mark.parametrize("ask", [morris, sobol_indices])
def test_without_the_extra_it_is_said_how_to_get_it(ask, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    for name in ("SALib", "SALib.analyze", "SALib.sample", "SALib.sample.morris", "SALib.sample.sobol"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        ExtraMissingError, match=r"SALib is not installed; .*twinfold\[experiments\]"
    ) as caught:
        ask(of(lambda a, b, c: a), LINEAR, range(1), 1)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_what_makes_no_sense_is_refused() -> None:
    evaluate = of(lambda a, b, c: a)
    for call in (
        lambda: morris(evaluate, {}, range(1), 1),
        lambda: morris(evaluate, LINEAR, range(1), -1),
        lambda: morris(evaluate, LINEAR, range(1), 1, trajectories=1),
        lambda: sobol_indices(evaluate, LINEAR, range(1), 1, base=100),
        lambda: sobol_indices(evaluate, LINEAR, range(1), 1, level=1.0),
    ):
        with pytest.raises(ValueError, match="must"):
            call()
