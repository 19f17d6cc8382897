"""Which readings history holds already: asked only for those that came late, which are few."""

from collections.abc import Callable, Sequence

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.decoding import Masks
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
        first, last = int(event_us[lines].min()), int(event_us[lines].max())
        paths = [
            file.path for file in self._files()
            if file.least["event_time"] <= last and file.greatest["event_time"] >= first
        ]  # fmt: skip
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
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("wanted", wanted)
            places = ["read_parquet($files)"] if paths else []
            for number, table in enumerate(self._tables):
                connection.register(f"table_{number}", table)
                places.append(f"table_{number}")
            for stored in places:
                rows = connection.sql(
                    f"SELECT line, bit_or({mask} | r.bad::UBIGINT) AS mask"
                    f" FROM {stored} r JOIN wanted USING (device_id, event_time) GROUP BY line",
                    params={"files": paths} if stored.startswith("read") else {},
                ).to_arrow_table()
                found[rows["line"].to_numpy()] |= rows["mask"].to_numpy()
        return found
