"""Designs are what their names say, within bounds and the same for the same seed."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

from twins.whatif.sweeps import Choices, Range, from_unit, grid, latin_hypercube, sobol

SPACE = {
    "threshold": Range(0.2, 0.9),
    "interval_h": Range(1.0, 1000.0, is_log=True),
    "crews": Range(1, 8, is_whole=True),
    "policy": Choices(("fixed", "condition", "none")),
}

RANGES = st.one_of(
    st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)).map(lambda b: Range(b[0], b[0] + b[1])),
    st.tuples(st.floats(1e-6, 1e3), st.floats(1.1, 1e3)).map(lambda b: Range(b[0], b[0] * b[1], is_log=True)),
    st.tuples(st.integers(1, 50), st.integers(1, 50), st.booleans()).map(
        lambda b: Range(b[0], b[0] + b[1], is_whole=True, is_log=b[2])
    ),
)


@given(RANGES, st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_values_lie_within_their_range_and_in_order(of: Range, parts: list[float]) -> None:
    found = [of.at(each) for each in sorted(parts)]
    assert found == sorted(found)
    assert all(of.low <= each <= of.high for each in found)
    assert all(isinstance(each, int) == of.is_whole for each in found)


@pytest.mark.parametrize("points", [1, 2, 7, 64])
def test_a_latin_hypercube_has_one_point_in_each_part(points: int) -> None:
    found = latin_hypercube({"a": Range(0.0, 1.0), "b": Range(0.0, 1.0)}, points, seed=3)
    for name in ("a", "b"):
        assert sorted(int(each[name] * points) for each in found) == list(range(points))


def test_a_sobol_sequence_is_scipys_and_grows() -> None:
    space = {"a": Range(0.0, 1.0), "b": Range(0.0, 1.0)}
    found = np.array([list(each.values()) for each in sobol(space, 32, seed=5)])
    assert found == pytest.approx(qmc.Sobol(2, rng=5).random_base2(5))
    assert qmc.discrepancy(found) < qmc.discrepancy(np.random.default_rng(5).random((32, 2)))
    assert sobol(space, 11, seed=5) == sobol(space, 32, seed=5)[:11]


@pytest.mark.parametrize("design", [latin_hypercube, sobol])
def test_the_same_seed_gives_the_same_design(design) -> None:  # type: ignore[no-untyped-def]
    found = design(SPACE, 40, seed=1)
    assert found == design(SPACE, 40, seed=1)
    assert found != design(SPACE, 40, seed=2)
    assert json.loads(json.dumps(found)) == found
    assert [list(each) for each in found] == [list(SPACE)] * 40


def test_whole_numbers_and_choices_come_equally_often() -> None:
    found = sobol({"crews": SPACE["crews"], "which": Choices(("a", "b"))}, 64, seed=9)
    assert set(Counter((each["crews"], each["which"]) for each in found).values()) == {4}


@given(st.integers(2, 6))
def test_a_grid_is_the_product_of_its_axes(steps: int) -> None:
    found = grid(SPACE, steps)
    axes = [sorted({each[name] for each in found}, key=str) for name in SPACE]
    assert [len(each) for each in axes] == [steps, steps, steps, 3]
    whole = {tuple(each.values()) for each in found}
    assert whole == set(itertools.product(*axes))
    assert len(found) == len(whole)
    assert {min(each["interval_h"] for each in found), max(each["interval_h"] for each in found)} == {
        1.0,
        1000.0,
    }


def test_a_grid_does_not_repeat_whole_numbers() -> None:
    assert [each["n"] for each in grid({"n": Range(1, 3, is_whole=True)}, 9)] == [1, 2, 3]
    assert [each["n"] for each in grid({"n": Range(1, 100, is_whole=True, is_log=True)}, 3)] == [1, 10, 100]


def test_what_makes_no_sense_is_refused() -> None:
    for call in (
        lambda: Range(1.0, 1.0),
        lambda: Range(float("nan"), 1.0),
        lambda: Range(0.0, 1.0, is_log=True),
        lambda: Range(0.5, 2, is_whole=True),
        lambda: Choices(()),
        lambda: Choices(("a", "a")),
        lambda: grid({}, 3),
        lambda: grid(SPACE, 1),
        lambda: grid({str(i): Range(0.0, 1.0) for i in range(7)}, 10),
        lambda: latin_hypercube(SPACE, 0, seed=1),
        lambda: sobol(SPACE, 2_000_000, seed=1),
        lambda: from_unit(SPACE, [[0.5]]),
        lambda: from_unit({"a": Range(0.0, 1.0)}, [[1.5]]),
        lambda: from_unit({"a": Range(0.0, 1.0)}, [[float("nan")]]),
    ):
        with pytest.raises(ValueError, match="must"):
            call()
