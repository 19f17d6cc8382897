"""Gradient-boosted trees as plain arrays: fitted by scikit-learn, kept without pickle, walked by compiled code.

What is kept of a model is read by anyone and runs nothing. A fit depends on its rows, settings and seed alone, not on who
fits it or beside whom.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

Matrix = NDArray[np.float32]

MOST_LEAVES: Final = 32
"""In one tree."""

_BLOCK: Final = 256  # rows that are asked together, which stay in cache
_ALL: Final = np.uint32(0xFFFFFFFF)
# the place of the lowest bit that is set: Leiserson, Prokop and Randall 1998, by a de Bruijn sequence
_SEQUENCE: Final = np.uint32(0x077CB531)
_PLACE: Final = np.array([
    0, 1, 28, 2, 29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4, 8, 31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6, 11, 5, 10, 9,
], np.int64)  # fmt: skip
_LEAF_SHARE: Final = 0.02  # of all rows, that a leaf asks for where there are few


@dataclass(frozen=True, slots=True)
class Boosting:
    """How trees are grown. The defaults serve every type; leaves of fewer rows are allowed where there are few in all."""

    rounds: int = 250
    rate: float = 0.04
    leaves: int = 15
    leaf_rows: int = 60
    ridge: float = 5.0
    columns: float = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """The sum of some trees over a constant. Node i goes to ``left[i]`` where its column is at most ``threshold[i]``.

    ``column`` is -1 in a leaf, of which ``value`` is what it adds; ``by_default`` says that an unknown value goes left.
    ``cover`` is how many of the rows that were learned from came by; None: it was not kept then.
    """

    constant: NDArray[np.float64]  # (1,)
    roots: NDArray[np.int32]  # (trees,)
    column: NDArray[np.int16]  # (nodes,)
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    by_default: NDArray[np.bool_]
    value: NDArray[np.float64]
    cover: NDArray[np.int32] | None = None

    def predict(self, x: Matrix) -> NDArray[np.float64]:
        """(n,) for (n, columns); NaN is an unknown value.

        Every inner node is asked of every row, which is quicker than to find a row's way: a node that a row goes right at
        strikes the leaves on its left off, and the first leaf that is left is the row's (QuickScorer: Lucchese and others
        2015, SIGIR). A row comes to the same bits whoever is beside it.

        Raises
        ------
        ValueError : a tree has more than ``MOST_LEAVES`` leaves.
        """
        out = np.full(len(x), self.constant[0])
        ends = np.append(self.roots[1:], len(self.column)).astype(np.int32)
        leaf_values = np.zeros((len(self.roots), MOST_LEAVES))
        struck = np.zeros(len(self.column), np.uint32)
        if not _laid_out(
            self.roots, ends, self.column, self.left, self.right, self.value, struck, leaf_values
        ):
            raise ValueError(f"a tree has more than {MOST_LEAVES} leaves")
        threshold = self.threshold.astype(np.float32)
        high = threshold > self.threshold
        threshold[high] = np.nextafter(
            threshold[high], np.float32(-np.inf)
        )  # a float32 is at most both, or neither
        _predict(x, self.roots, ends, self.column, threshold, self.by_default, struck, leaf_values, out)
        return out

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """All of it under names that begin with ``prefix``."""
        kept = {f"{prefix}{each.name}": getattr(self, each.name) for each in fields(self)}
        return {name: array for name, array in kept.items() if array is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> Self:
        """What ``arrays`` gave; KeyError if some of it is not there, but for ``cover``."""
        wanted = [each.name for each in fields(cls) if each.name != "cover"]
        return cls(**{name: arrays[f"{prefix}{name}"] for name in wanted}, cover=arrays.get(f"{prefix}cover"))


def fit(x: Matrix, y: NDArray[np.float64], how: Boosting, seed: int) -> Trees:
    """Trees for the mean of ``y`` given ``x``.

    Parameters
    ----------
    x : (n, columns), n at least 1; NaN where a value is unknown
    y : (n,)
    """
    model = HistGradientBoostingRegressor(
        max_iter=how.rounds, learning_rate=how.rate, max_leaf_nodes=how.leaves,
        min_samples_leaf=min(how.leaf_rows, max(1, int(_LEAF_SHARE * len(x)))), l2_regularization=how.ridge,
        max_features=how.columns, early_stopping=False, random_state=seed,
    )  # fmt: skip
    heard = ~np.isnan(x).all(axis=0)
    model.fit(np.where(heard, x, np.float32(0.0)), y)  # a column of which nothing is known tells nothing
    return _kept(model)


def _kept(model: HistGradientBoostingRegressor) -> Trees:
    grown = [each[0].nodes for each in model._predictors]
    sizes = np.array([len(nodes) for nodes in grown], np.int64)
    roots = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    nodes = np.concatenate(grown)
    offset = np.repeat(roots, sizes)
    leaf = nodes["is_leaf"].astype(bool)
    return Trees(
        constant=np.array([float(np.ravel(model._baseline_prediction)[0])]),
        roots=roots.astype(np.int32),
        column=np.where(leaf, -1, nodes["feature_idx"]).astype(np.int16),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=(nodes["left"] + offset).astype(np.int32),
        right=(nodes["right"] + offset).astype(np.int32),
        by_default=nodes["missing_go_to_left"].astype(bool),
        value=nodes["value"].astype(np.float64),
        cover=nodes["count"].astype(np.int32),
    )


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # numba says no types; twins' kernels may not allocate
def _laid_out(
    roots: Any, ends: Any, column: Any, left: Any, right: Any, value: Any, struck: Any, leaf_values: Any
) -> bool:
    """Number each tree's leaves from left to right: their values, and at each inner node those on its left, as bits."""
    waiting = np.empty(len(column) + 1, np.int32)
    for t in range(len(roots)):
        used, leaves = 1, 0
        waiting[0] = roots[t]
        while used:
            used -= 1
            node = waiting[used]
            if column[node] >= 0:
                waiting[used] = right[node]
                waiting[used + 1] = left[node]
                used += 2
                continue
            if leaves == MOST_LEAVES:
                return False
            struck[node] = np.uint32(1) << np.uint32(leaves)
            leaf_values[t, leaves] = value[node]
            leaves += 1
        for node in range(ends[t] - 1, roots[t] - 1, -1):  # children come after their parent
            if column[node] >= 0:
                struck[node] = struck[left[node]] | struck[right[node]]
        for node in range(roots[t], ends[t]):
            if column[node] >= 0:
                struck[node] = struck[left[node]]
    return True


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # as above
def _predict(
    x: Matrix,
    roots: Any,
    ends: Any,
    column: Any,
    threshold: Any,
    by_default: Any,
    struck: Any,
    leaf_values: Any,
    out: Any,
) -> None:
    seen = np.empty((x.shape[1], _BLOCK), np.float32)
    left_over = np.empty(_BLOCK, np.uint32)
    for start in range(0, len(x), _BLOCK):
        many = min(_BLOCK, len(x) - start)
        for c in range(x.shape[1]):
            for i in range(many):
                seen[c, i] = x[start + i, c]
        for t in range(len(roots)):
            left_over[:] = _ALL
            for node in range(roots[t], ends[t]):
                c = column[node]
                if c < 0:
                    continue
                row, at, stay = seen[c], threshold[node], ~struck[node]
                if by_default[node]:  # an unknown value is greater than nothing: it goes left
                    for i in range(_BLOCK):
                        left_over[i] &= stay if row[i] > at else _ALL
                else:
                    for i in range(_BLOCK):
                        left_over[i] &= _ALL if row[i] <= at else stay
            for i in range(many):
                bits = left_over[i]
                first = (((bits & (~bits + np.uint32(1))) * _SEQUENCE) & _ALL) >> np.uint32(27)
                out[start + i] += leaf_values[t, _PLACE[first]]
