# mypy: disallow-untyped-decorators=False
"""The least and the greatest value of each channel in buckets of time: what a chart needs so that no peak is
lost.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray

from training.tables import TIMESTAMP


class Envelope:
    """Buckets of ``width_us`` from ``start_us`` to ``end_us``; anything outside is left out, and so is what
    is null.
    """

    def __init__(self, channels: Sequence[str], start_us: int, end_us: int, width_us: int) -> None:
        self._channels = list(channels)
        self._start_us = start_us
        self._width_us = width_us
        shape = (len(self._channels), -(-(end_us - start_us) // width_us))
        self._least = np.full(shape, np.inf)
        self._greatest = np.full(shape, -np.inf)

    def add_readings(self, rows: pa.Table) -> None:
        """Rows with ``event_time`` and a column a channel."""
        places = self._places(rows["event_time"])
        for c, name in enumerate(self._channels):
            values = rows[name].to_numpy()
            _widen(self._least[c], self._greatest[c], places, values, values)

    def add_rollup(self, rows: pa.Table) -> None:
        """Rows with ``channel``, ``event_time`` of a bucket's start, ``min`` and ``max``."""
        for c, name in enumerate(self._channels):
            mine = rows.filter(pc.equal(rows["channel"], name))
            places = self._places(mine["event_time"])
            _widen(self._least[c], self._greatest[c], places, mine["min"].to_numpy(), mine["max"].to_numpy())

    def rows(self) -> pa.Table:
        """``event_time`` of a bucket's start, and ``<channel>_min`` and ``<channel>_max``, null where a
        channel has none.

        Buckets in which nothing lies are left out.
        """
        filled = np.flatnonzero((self._least <= self._greatest).any(axis=0))
        times = pa.array(self._start_us + filled * self._width_us, pa.int64()).cast(TIMESTAMP)
        columns: dict[str, pa.Array] = {"event_time": times}
        for c, name in enumerate(self._channels):
            least, greatest = self._least[c, filled], self._greatest[c, filled]
            columns[f"{name}_min"] = pa.array(least, mask=least > greatest)
            columns[f"{name}_max"] = pa.array(greatest, mask=least > greatest)
        return pa.table(columns)

    def _places(self, times: pa.ChunkedArray) -> NDArray[np.int64]:
        event_us: NDArray[np.int64] = times.cast(pa.int64()).to_numpy()
        return (event_us - self._start_us) // self._width_us


@njit(cache=True)
def _widen(
    least: NDArray[np.float64],
    greatest: NDArray[np.float64],
    places: NDArray[np.int64],
    low: NDArray[Any],
    high: NDArray[Any],
) -> None:
    for i in range(len(places)):
        place = places[i]
        if 0 <= place < len(least):
            if low[i] < least[place]:  # NaN, which is how null comes here, never is
                least[place] = low[i]
            if high[i] > greatest[place]:
                greatest[place] = high[i]
