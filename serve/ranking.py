"""Which devices stand at an offset of a sorted list, without sorting it: the values at the page's two ends are selected, and
only what lies between them, or equals them, is looked at (C. A. R. Hoare, Algorithm 65: Find, 1961).

Equal values are ordered by id. The order of all ids is worked out once and kept for as long as no device comes; that takes
about a second for a million, all the rest a few hundredths.
"""

import threading
from collections.abc import Hashable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serve.live import View

Lines = NDArray[np.int64]

_LAST: Final = 2**62
_TEXTS: Final = {"type": "device_type", "site": "site"}


class Ranks:
    """The place of every line of a view in the order of ids; as before, unless devices came. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[Hashable, NDArray[np.int32]] | None = None

    def of(self, view: View) -> NDArray[np.int32]:
        """(n,) The place of each line's id among all ids."""
        if view.sites is not None:  # a part, whose lines may be others at any time
            return view.once("ranks", lambda: _ranks(view))
        key = tuple(
            (name, host, view.generations[host].epoch, len(table))
            for name in view.types
            for host, table in view.parts[name]
        )  # rows are never reused, so their number says which devices there are
        with self._lock:
            if self._known is None or self._known[0] != key:
                self._known = key, _ranks(view)
            return self._known[1]


def window(values: NDArray[Any], ranks: NDArray[np.int32], start: int, stop: int) -> Lines:
    """Who stands from ``start`` up to ``stop`` when all are sorted by value, then by rank; in that order.

    Parameters
    ----------
    values, ranks : (n,) without NaN; ranks differ
    """
    n = len(values)
    start, stop = min(start, n), min(stop, n)
    if start >= stop:
        return np.zeros(0, np.int64)
    parted = np.partition(values, (start, stop - 1))
    least, most = parted[start], parted[stop - 1]
    first = _group(values, ranks, least, start, stop)
    if least == most:
        return first
    between = np.flatnonzero((values > least) & (values < most))
    between = between[np.lexsort((ranks[between], values[between]))]
    return np.concatenate([first, between, _group(values, ranks, most, start, stop)])


def sort_values(view: View, key: str, descending: bool, ranks: NDArray[np.int32]) -> NDArray[Any]:
    """(n,) What makes the list's order when it is sorted upwards; as ``vocabulary.sort_expression`` has it."""
    found: NDArray[Any] = _upwards(view, key, descending, ranks)
    return -found if descending else found


def _upwards(view: View, key: str, descending: bool, ranks: NDArray[np.int32]) -> Any:
    """The same before it is turned round; what is not known comes last either way."""
    assert view.lines is not None
    if key == "id":
        return ranks
    column = view.lines[_TEXTS.get(key, key)]
    match key:
        case "type" | "site":
            return _codes(column)
        case "priority":
            level = column.to_numpy().astype(np.int16)
            return (level + 1) % 256 if descending else level
        case "alerts":
            return column.to_numpy().astype(np.int32)
        case "event_time":
            return column.cast(pa.int64()).fill_null(-1 if descending else _LAST).to_numpy()
    numbers = column.to_numpy().astype(np.float32) + np.float32(0)  # there is one zero
    numbers[np.isnan(numbers)] = -np.inf if descending else np.inf
    return numbers


def _group(
    values: NDArray[Any], ranks: NDArray[np.int32], value: Any, start: int, stop: int
) -> NDArray[np.int64]:
    """Those of one value that stand between ``start`` and ``stop``."""
    group = np.flatnonzero(values == value)
    before = int(np.count_nonzero(values < value))
    start, stop = max(0, start - before), min(len(group), stop - before)
    mine = ranks[group]
    if stop - start < len(group):
        chosen = np.argpartition(mine, (start, stop - 1))[start:stop]
        group, mine = group[chosen], mine[chosen]
    return group[np.argsort(mine)]


def _ranks(view: View) -> NDArray[np.int32]:
    assert view.lines is not None
    order = pc.sort_indices(view.lines.select(["device_id"]), [("device_id", "ascending")]).to_numpy()
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    return ranks


def _codes(column: pa.ChunkedArray) -> NDArray[np.int32]:
    """The place of each text among the distinct ones."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    coded = column.unify_dictionaries().combine_chunks()
    if isinstance(coded, pa.ChunkedArray):  # none at all
        return np.zeros(0, np.int32)
    order = pc.sort_indices(coded.dictionary).to_numpy()
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    found: NDArray[np.int32] = place[coded.indices.to_numpy()]
    return found
