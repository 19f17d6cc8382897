"""What each column has to do with what trees say of a row: Shapley values, exact, by compiled code.

A column's value is what knowing it adds on average, over all orders in which the columns may become known. While one is
not known both ways on are taken, each with the share of the learned rows that went it (*path-dependent* TreeSHAP: Lundberg,
Erion and Lee 2018, arXiv:1802.03888). So all columns together are what a row's score is more than the mean learned row's.

Where the code departs from their Algorithm 2: what a column adds in a leaf is the integral of a polynomial over 0 to 1 (the
diagonal of the multilinear extension: Owen 1972, Management Science 18), which Gauss and Legendre's points give exactly, and
rows that lead on at the same columns share it. The numbers are the same.
"""

from functools import cache
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from training.boosting import Matrix, Trees

_BLOCK: Final = 1024  # rows that come by a leaf together, which stay in cache
_SLOTS: Final = 1024  # a power of two; rows that meet the same of a leaf's conditions get the same from it
_WIDEST: Final = 62  # columns on one path: bits of a number


def attributions(trees: Trees, x: Matrix) -> NDArray[np.float64]:
    """What each column adds, in the unit of the trees, and last what is said of no row in particular.

    The sum of a line is what the trees predict. A column that no tree asks about adds exactly 0.

    Parameters
    ----------
    x : (n, columns), finite; NaN is an unknown value, which goes where it goes in ``Trees.predict``

    Returns
    -------
    (n, columns + 1)

    Raises
    ------
    ValueError : the trees were kept without their cover, or ask about more than 62 columns on one path.
    """
    if trees.cover is None:
        raise ValueError("the trees were kept without their cover")
    inner = np.flatnonzero(trees.column >= 0)
    above = np.full(len(trees.column), -1, np.int32)
    above[trees.left[inner]] = inner
    above[trees.right[inner]] = inner
    leaves = np.flatnonzero(trees.column < 0)
    out = np.zeros((len(x), x.shape[1] + 1))
    out[:, -1] = trees.constant[0] + _expected(trees, trees.cover, leaves)
    widest = min(x.shape[1], int(np.diff(trees.roots, append=len(above)).max(initial=1)) // 2)
    if widest > _WIDEST:
        raise ValueError(f"at most {_WIDEST} columns on one path of a tree, got up to {widest}")
    points, weights = _quadratures(widest)
    _attribute(
        x,
        trees.column,
        trees.threshold,
        trees.left,
        trees.by_default,
        trees.value,
        trees.cover,
        above,
        leaves,
        points,
        weights,
        out,
    )
    return out


def _expected(trees: Trees, cover: NDArray[np.int32], leaves: NDArray[np.int64]) -> float:
    """The mean of what the trees add over the rows that they were learned from."""
    tree = np.searchsorted(trees.roots, leaves, "right") - 1
    return float((trees.value[leaves] * cover[leaves] / cover[trees.roots[tree]]).sum())


@cache
def _quadratures(widest: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points in (0, 1) and weights, in line w those that are exact for a path of w columns: for degrees up to w - 1."""
    most = max(1, -(-widest // 2))
    points, weights = np.zeros((widest + 1, most)), np.zeros((widest + 1, most))
    for wide in range(1, widest + 1):
        count = -(-wide // 2)
        place, weight = np.polynomial.legendre.leggauss(count)
        points[wide, :count], weights[wide, :count] = (place + 1.0) / 2.0, weight / 2.0
    return points, weights


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # numba says no types
def _attribute(
    x: Matrix,
    column: Any,
    threshold: Any,
    left: Any,
    by_default: Any,
    value: Any,
    cover: Any,
    above: Any,
    leaves: Any,
    points: Any,
    weights: Any,
    out: Any,
) -> None:
    widest = len(points)
    asked, low, high = np.empty(widest, np.int64), np.empty(widest), np.empty(widest)
    unknown, share = np.empty(widest, np.bool_), np.empty(widest)
    of_leaf, of_pattern = np.full(_SLOTS, -1), np.full(_SLOTS, -1)
    parts = np.zeros((_SLOTS, widest))
    for start in range(0, len(x), _BLOCK):
        for leaf in leaves:
            wide = _climb(
                leaf, column, threshold, left, by_default, cover, above, asked, low, high, unknown, share
            )
            for i in range(start, min(start + _BLOCK, len(x))):
                pattern = 0
                for j in range(wide):
                    seen = x[i, asked[j]]
                    leads_on = ((low[j] < seen) & (seen <= high[j])) | (np.isnan(seen) & unknown[j])
                    pattern |= int(leads_on) << j
                slot = pattern & (_SLOTS - 1)
                if of_leaf[slot] != leaf or of_pattern[slot] != pattern:
                    of_leaf[slot], of_pattern[slot] = leaf, pattern
                    _shapley(value[leaf], pattern, share[:wide], points[wide], weights[wide], parts[slot])
                for j in range(wide):
                    out[i, asked[j]] += parts[slot, j]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # as above
def _climb(
    leaf: int,
    column: Any,
    threshold: Any,
    left: Any,
    by_default: Any,
    cover: Any,
    above: Any,
    asked: Any,
    low: Any,
    high: Any,
    unknown: Any,
    share: Any,
) -> int:
    """Which columns are asked about on the way to a leaf; gives how many.

    A value above ``low`` and up to ``high`` leads on to the leaf, an unknown one where ``unknown``; ``share`` of the learned
    rows that were asked went on.
    """
    wide = 0
    node = leaf
    while above[node] >= 0:
        child, node = node, above[node]
        j = 0
        while j < wide and asked[j] != column[node]:
            j += 1
        if j == wide:
            asked[j], low[j], high[j], unknown[j], share[j] = column[node], -np.inf, np.inf, True, 1.0
            wide += 1
        if left[node] == child:
            high[j] = min(high[j], threshold[node])
            unknown[j] &= by_default[node]
        else:
            low[j] = max(low[j], threshold[node])
            unknown[j] &= not by_default[node]
        share[j] *= cover[child] / cover[node]
    return wide


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # as above
def _shapley(value: float, pattern: int, share: Any, points: Any, weights: Any, out: Any) -> None:
    """What each column on the way to a leaf adds to what the leaf does.

    Column j, whose share is s_j and which leads on or not (o_j is 1 or 0): value (o_j - s_j) ∫ Π (t o_i + (1 - t) s_i) dt
    over the others.
    """
    wide = len(share)
    out[:wide] = 0.0
    for q in range((wide + 1) // 2):
        t = points[q]
        product = weights[q] * value
        for j in range(wide):
            product *= (1.0 - t) * share[j] + t * ((pattern >> j) & 1)
        for j in range(wide):
            leads_on = (pattern >> j) & 1
            out[j] += (leads_on - share[j]) * product / ((1.0 - t) * share[j] + t * leads_on)
