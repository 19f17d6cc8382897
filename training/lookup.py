"""Which readings history holds already: asked only for those that came late, which are few."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training import parquet_files
from training.decoding import Masks
from training.parquet_files import SqlFiles
from training.tables import TIMESTAMP, File
from twins.devices import DeviceType


class StoredReadings:
    """The readings in some files and tables, by device and event time. Implements ``decoding.Already``."""

    def __init__(
        self, files: Callable[[], Sequence[File]], device_type: DeviceType, tables: Sequence[pa.Table] = ()
    ) -> None:
        self._files = files
        self._tables = tables
        self._channels = device_type.channel_names

    def __call__(
        self, ids: pa.Array, place: NDArray[np.int32], event_us: NDArray[np.int64], which: NDArray[np.bool_]
    ) -> Masks:
        found = np.zeros(len(which), np.uint64)
        lines = np.flatnonzero(which)
        if not len(lines):
            return found
        asked_us = np.sort(event_us[lines])
        paths = [file.path for file in self._files() if _any_within(asked_us, file)]
        wanted = pa.table(
            {
                "line": pa.array(lines),
                "device_id": ids.take(pa.array(place[lines])),
                "event_time": pa.array(event_us[lines]).cast(TIMESTAMP),
            }
        )
        # a channel is there where it has a value or a BAD one
        mask = " | ".join(
            f'(CASE WHEN r."{name}" IS NULL THEN 0 ELSE 1 END::UBIGINT << {c})'
            for c, name in enumerate(self._channels)
        )
        with parquet_files.connected(paths[0] if paths else "") as connection:
            connection.register("wanted", wanted)
            columns = ["device_id", "event_time", "bad", *self._channels]
            places = [SqlFiles().sql(connection, "sealed", paths, columns)] if paths else []
            for number, table in enumerate(self._tables):
                connection.register(f"table_{number}", table)
                places.append(f"table_{number}")
            for stored in places:
                rows = connection.sql(
                    f"SELECT line, bit_or({mask} | r.bad::UBIGINT) AS mask"
                    f" FROM {stored} r JOIN wanted USING (device_id, event_time) GROUP BY line"
                ).to_arrow_table()
                found[rows["line"].to_numpy()] |= rows["mask"].to_numpy()
        return found


def _any_within(asked_us: NDArray[np.int64], file: File) -> bool:
    """Whether a file may hold any of the times, which are sorted.

    Each by itself, not the span of them all: one device whose clock has stopped would have every file searched.
    """
    first, after = np.searchsorted(asked_us, [file.least["event_time"], file.greatest["event_time"] + 1])
    return bool(after > first)
