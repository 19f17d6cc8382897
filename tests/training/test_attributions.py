"""Beside Shapley's formula over all subsets of the columns, and whatever is so by definition."""

from dataclasses import replace
from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training import boosting
from training.attributions import attributions
from training.boosting import Boosting, Matrix, Trees

COLUMNS = 4
NAN = float("nan")
values = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0, NAN])
rows_of = st.lists(st.lists(values, min_size=COLUMNS, max_size=COLUMNS), min_size=1, max_size=6)


@st.composite
def forests(draw: st.DrawFn) -> Trees:
    """Trees of up to four levels that ask about a column as often as they like."""
    nodes: list[list[float]] = []

    def grown(depth: int) -> int:
        node = len(nodes)
        nodes.append([-1, 0.0, 0, 0, False, draw(st.floats(-10, 10)), draw(st.integers(1, 9))])
        if depth < 4 and draw(st.booleans()):
            asked, threshold = (
                draw(st.integers(0, COLUMNS - 1)),
                draw(st.sampled_from([-0.5, 0.0, 0.5, np.inf])),
            )
            left, right = grown(depth + 1), grown(depth + 1)
            both = nodes[left][6] + nodes[right][6]
            nodes[node] = [asked, threshold, left, right, draw(st.booleans()), 0.0, both]
        return node

    roots = [grown(0) for _ in range(draw(st.integers(1, 3)))]
    kinds = (np.int16, np.float64, np.int32, np.int32, np.bool_, np.float64, np.int32)
    arrays = [np.array(one, kind) for one, kind in zip(zip(*nodes, strict=True), kinds, strict=True)]
    return Trees(np.array([draw(st.floats(-10, 10))]), np.array(roots, np.int32), *arrays)


def expected(trees: Trees, row: NDArray[np.float32], known: frozenset[int], node: int) -> float:
    """What a tree says of a row of which it may see some columns."""
    assert trees.cover is not None
    asked = int(trees.column[node])
    if asked < 0:
        return float(trees.value[node])
    left, right = int(trees.left[node]), int(trees.right[node])
    if asked in known:
        seen = row[asked]
        go_left = trees.by_default[node] if np.isnan(seen) else seen <= trees.threshold[node]
        return expected(trees, row, known, left if go_left else right)
    parts = [trees.cover[way] / trees.cover[node] * expected(trees, row, known, way) for way in (left, right)]
    return float(sum(parts))


def by_definition(trees: Trees, row: NDArray[np.float32]) -> list[float]:
    """Each column's mean worth over all orders, and what is said of no row in particular."""
    columns = range(len(row))

    def worth(known: tuple[int, ...]) -> float:
        return sum(expected(trees, row, frozenset(known), int(root)) for root in trees.roots)

    found = []
    for j in columns:
        others = [k for k in columns if k != j]
        total = 0.0
        for size in range(len(row)):
            weight = factorial(size) * factorial(len(row) - 1 - size) / factorial(len(row))
            total += weight * sum(worth((*s, j)) - worth(s) for s in combinations(others, size))
        found.append(total)
    return [*found, float(trees.constant[0]) + worth(())]


@settings(deadline=None)
@given(forests(), rows_of)
def test_it_is_what_shapley_says_of_all_subsets(trees: Trees, rows: list[list[float]]) -> None:
    x = np.array(rows, np.float32)
    found = attributions(trees, x)
    np.testing.assert_allclose(found, [by_definition(trees, row) for row in x], atol=1e-9)


@settings(deadline=None)
@given(forests(), rows_of)
def test_a_line_adds_up_to_what_is_predicted(trees: Trees, rows: list[list[float]]) -> None:
    x = np.array(rows, np.float32)
    np.testing.assert_allclose(attributions(trees, x).sum(axis=1), trees.predict(x), atol=1e-9)


def learned(n: int, columns: int, how: Boosting, seed: int = 0) -> tuple[Trees, Matrix]:
    """Trees from rows with gaps, and the rows."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, columns)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    known = np.nan_to_num(x)
    y = 3.0 * known[:, 0] + known[:, 1] * known[:, 2] + rng.normal(0, 0.1, n)
    return boosting.fit(x, y.astype(np.float64), how, seed), x


def test_learned_trees_are_measured_from_the_mean_of_what_they_learned_from() -> None:
    trees, x = learned(600, 4, Boosting(rounds=20, columns=1.0))
    found = attributions(trees, x)
    np.testing.assert_allclose(found[:, -1], trees.predict(x).mean(), atol=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), trees.predict(x), atol=1e-9)
    few = [5, 77, 200]
    np.testing.assert_allclose(found[few], [by_definition(trees, row) for row in x[few]], atol=1e-9)


def test_many_rows_and_wide_paths_add_up_and_are_the_same_alone() -> None:
    trees, x = learned(5_000, 30, Boosting(rounds=60, leaves=31))
    found = attributions(trees, x)
    np.testing.assert_allclose(found.sum(axis=1), trees.predict(x), atol=1e-9)
    assert attributions(trees, x[4_000:4_001]).tobytes() == found[4_000:4_001].tobytes()
    assert attributions(trees, x[:0]).shape == (0, 31)


def test_a_column_that_is_not_asked_about_adds_nothing() -> None:
    trees, x = learned(600, 5, Boosting(rounds=20, columns=1.0))
    moved = replace(trees, column=np.where(trees.column >= 0, trees.column + 1, -1).astype(np.int16))
    wider = np.concatenate([x[:, -1:], x], axis=1)
    found = attributions(moved, wider)
    assert (found[:, 0] == 0.0).all()
    np.testing.assert_array_equal(found[:, 1:], attributions(trees, x))


def test_columns_that_trees_use_alike_add_alike() -> None:
    one, x = learned(600, 4, Boosting(rounds=20, columns=1.0))
    assert one.cover is not None
    swapped = np.array([1, 0, 2, 3, -1], np.int16)[one.column]
    size = len(one.column)
    both = Trees(
        one.constant,
        np.concatenate([one.roots, one.roots + size]).astype(np.int32),
        np.concatenate([one.column, swapped]),
        np.tile(one.threshold, 2),
        np.concatenate([one.left, one.left + size]).astype(np.int32),
        np.concatenate([one.right, one.right + size]).astype(np.int32),
        np.tile(one.by_default, 2),
        np.tile(one.value, 2),
        np.tile(one.cover, 2),
    )
    x[:, 1] = x[:, 0]
    found = attributions(both, x)
    np.testing.assert_allclose(found[:, 0], found[:, 1], atol=1e-12)
    assert np.abs(found[:, 0]).max() > 0.1


def test_trees_that_ask_nothing_say_the_same_of_all() -> None:
    _, x = learned(50, 3, Boosting(rounds=3))
    trees = boosting.fit(x, np.full(50, 7.0), Boosting(rounds=3), 0)
    assert (trees.column < 0).all()
    found = attributions(trees, x)
    assert (found[:, :-1] == 0.0).all()
    np.testing.assert_allclose(found[:, -1], trees.predict(x))


def test_trees_that_were_kept_without_their_cover_tell_nothing() -> None:
    trees, x = learned(100, 3, Boosting(rounds=3))
    arrays = {name: array for name, array in trees.arrays("a.").items() if name != "a.cover"}
    again = Trees.from_arrays(arrays, "a.")
    assert again.predict(x).tobytes() == trees.predict(x).tobytes()
    assert "a.cover" not in again.arrays("a.")
    with pytest.raises(ValueError, match="without their cover"):
        attributions(again, x)


def test_a_path_that_is_too_wide_is_refused() -> None:
    wide = 63
    inner = np.arange(wide)
    leaves = np.full(wide + 1, -1)
    trees = Trees(
        np.zeros(1),
        np.zeros(1, np.int32),
        np.concatenate([inner, leaves]).astype(np.int16),
        np.zeros(2 * wide + 1),
        np.concatenate([inner[1:], [wide], leaves]).astype(np.int32),
        np.concatenate([wide + 1 + inner, leaves]).astype(np.int32),
        np.zeros(2 * wide + 1, np.bool_),
        np.zeros(2 * wide + 1),
        np.concatenate([wide + 1 - inner, np.ones(wide + 1)]).astype(np.int32),
    )
    with pytest.raises(ValueError, match="at most 62"):
        attributions(trees, np.zeros((1, wide), np.float32))
