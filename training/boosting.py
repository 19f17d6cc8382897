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

_BLOCK: Final = 256  # rows that go down a tree together, which stays in cache
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
        """(n,) for (n, columns); NaN is an unknown value."""
        out = np.full(len(x), self.constant[0])
        _walk(
            x,
            self.roots,
            self.column,
            self.threshold,
            self.left,
            self.right,
            self.by_default,
            self.value,
            out,
        )
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
    model.fit(x, y)
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
def _walk(
    x: Matrix,
    roots: Any,
    column: Any,
    threshold: Any,
    left: Any,
    right: Any,
    by_default: Any,
    value: Any,
    out: Any,
) -> None:
    for start in range(0, len(x), _BLOCK):
        for root in roots:
            for i in range(start, min(start + _BLOCK, len(x))):
                node = root
                while column[node] >= 0:
                    seen = x[i, column[node]]
                    go_left = by_default[node] if np.isnan(seen) else seen <= threshold[node]
                    node = left[node] if go_left else right[node]
                out[i] += value[node]
