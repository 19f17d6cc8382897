"""What trees say of a row is what one comes to who walks each tree from its root."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.boosting import MOST_LEAVES, Boosting, Trees, fit


def walked(trees: Trees, row: NDArray[np.float32]) -> float:
    """One node after the other."""
    total = float(trees.constant[0])
    for root in trees.roots.tolist():
        node = root
        while trees.column[node] >= 0:
            seen = float(row[trees.column[node]])
            unknown = np.isnan(seen)
            goes_left = trees.by_default[node] if unknown else seen <= trees.threshold[node]
            node = int((trees.left if goes_left else trees.right)[node])
        total += float(trees.value[node])
    return total


def drawn(seed: int, rows: int, columns: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)).astype(np.float32)
    x[rng.random(x.shape) < 0.15] = np.nan
    return x


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, MOST_LEAVES), st.integers(1, 700))
@settings(max_examples=25, deadline=None)
def test_the_sum_is_that_of_a_walk_to_the_last_bit(seed: int, columns: int, leaves: int, rows: int) -> None:
    x = drawn(seed, 300, columns)
    y = np.nan_to_num(x[:, 0]) ** 2 + np.isnan(x).sum(axis=1)
    trees = fit(x, y, Boosting(rounds=4, leaves=leaves, leaf_rows=3), seed % 2**31)
    asked = drawn(seed + 1, rows, columns)
    inner = np.flatnonzero(trees.column >= 0)
    if len(inner):  # some exactly at a threshold, and as near to it as can be told
        at = np.random.default_rng(seed).choice(inner, rows)
        asked[np.arange(rows), trees.column[at]] = trees.threshold[at].astype(np.float32)
    np.testing.assert_array_equal(trees.predict(asked), [walked(trees, row) for row in asked])


def test_trees_with_more_leaves_than_bits_are_refused() -> None:
    x = drawn(2, 400, 3)
    trees = fit(x, np.nan_to_num(x[:, 0]), Boosting(rounds=1, leaves=MOST_LEAVES + 20, leaf_rows=2), 0)
    with pytest.raises(ValueError, match="more than 32 leaves"):
        trees.predict(x)


def test_no_rows_get_no_answers_and_one_row_the_same_bits_as_among_others() -> None:
    x = drawn(3, 300, 3)
    trees = fit(x, np.nan_to_num(x[:, 0]), Boosting(rounds=10), 0)
    assert len(trees.predict(x[:0])) == 0
    assert [trees.predict(x[row : row + 1])[0] for row in range(5)] == trees.predict(x)[:5].tolist()
    assert replace(trees, roots=trees.roots[:0]).predict(x).tolist() == [trees.constant[0]] * 300
