"""The rows of one device, read straight from the row groups that hold them.

Files of history are sorted by device and time, so a device is a run of rows in each file that has it, mostly
within one row group. Files stay open with their footers read, the groups are found by bisection over their
bounds, the run within them by bisection over the device ids: nothing is decoded that is not near.
"""

import bisect
import random
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from training import parquet_files

_DEVICE: Final = "device_id"
_TIME: Final = "event_time"
_FEW_ROWS: Final = 1 << 12  # in such a group most devices have a row or two: a dictionary would cost more


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """A file, and the bounds of its row groups in their order. Its lock is held while it is read."""

    file: pq.ParquetFile
    footer_bytes: int
    columns: frozenset[str]
    first: list[str]  # device id
    last: list[str]
    earliest: list[int]  # event time, µs
    latest: list[int]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def groups(self, device_id: str, start_us: int, end_us: int) -> list[int]:
        """Those that may hold something of a device in the span."""
        low = bisect.bisect_left(self.last, device_id)
        high = bisect.bisect_right(self.first, device_id)
        return [
            group for group in range(low, high)
            if self.earliest[group] < end_us and self.latest[group] >= start_us
        ]  # fmt: skip


class DeviceReader:
    """Reads devices out of the files of one table, which never change. May be shared between threads.

    Parameters
    ----------
    limit_files : how many files stay open
    limit_footers_mb : how much their footers may take together, as they are on disk; in memory that is about
        nine times as much. A billion readings of eight channels have 14.
    """

    def __init__(self, limit_files: int = 512, limit_footers_mb: int = 48) -> None:
        self._limit_files = limit_files
        self._limit_bytes = limit_footers_mb << 20
        self._lock = threading.Lock()
        self._opened: dict[str, _Opened] = {}
        self._footer_bytes = 0
        self._chance = random.Random(0)  # noqa: S311  (which files to close, no secret)

    def rows(
        self, path: str, device_id: str, start_us: int, end_us: int, schema: pa.Schema
    ) -> pa.Table | None:
        """The columns ``schema`` of a device in a file, in the file's order; None: there is no such row.

        Row groups that have nothing with ``start_us <= event time < end_us`` are passed over; rows of the
        others come whatever their time. A column that the file lacks is null.
        """
        opened = self._open(path)
        groups = opened.groups(device_id, start_us, end_us)
        if not groups:
            return None
        wanted = [name for name in schema.names if name in opened.columns]
        with opened.lock:
            read = opened.file.read_row_groups(groups, columns=[_DEVICE, *wanted], use_threads=False)
        begin, stop = _run(read[_DEVICE], device_id)
        if begin == stop:
            return None
        found = read.slice(begin, stop - begin)
        for name in schema.names:
            if name not in opened.columns:
                found = found.append_column(name, pa.nulls(len(found), schema.field(name).type))
        found = found.select(schema.names)
        return found if found.schema.equals(schema) else found.cast(schema)

    def keep(self, paths: Iterable[str]) -> None:
        """Close all other files: they are not part of the table any more, and take space on disk while they
        are open.
        """
        with self._lock:
            for path in self._opened.keys() - set(paths):
                self._footer_bytes -= self._opened.pop(path).footer_bytes

    def _open(self, path: str) -> _Opened:
        with self._lock:
            opened = self._opened.get(path)
        if opened is None:
            opened = _opened(path)
            with self._lock:
                self._make_room(opened.footer_bytes)
                if path not in self._opened:
                    self._opened[path] = opened
                    self._footer_bytes += opened.footer_bytes
        return opened

    def _make_room(self, footer_bytes: int) -> None:
        """Close some at random. Charts read the same files in turn: if the one unused for longest were closed, then as soon
        as there is one too many each would be the one needed next.
        """
        while self._opened and (
            len(self._opened) >= self._limit_files or self._footer_bytes + footer_bytes > self._limit_bytes
        ):
            path = self._chance.choice(list(self._opened))
            self._footer_bytes -= self._opened.pop(path).footer_bytes


def _opened(path: str) -> _Opened:
    decryption = parquet_files.decryption_of(path)
    footer = pq.read_metadata(path, decryption_properties=decryption)
    names = footer.schema.to_arrow_schema().names
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    few = all(group.num_rows <= _FEW_ROWS for group in groups)
    file = pq.ParquetFile(
        path,
        metadata=footer,
        pre_buffer=False,
        read_dictionary=None if few else [_DEVICE],
        decryption_properties=decryption,
    )
    devices = [group.column(names.index(_DEVICE)).statistics for group in groups]
    times = [group.column(names.index(_TIME)).statistics for group in groups]
    return _Opened(
        file,
        footer.serialized_size,
        frozenset(names),
        [bounds.min for bounds in devices],
        [bounds.max for bounds in devices],
        [bounds.min_raw for bounds in times],
        [bounds.max_raw for bounds in times],
    )


def _run(ids: pa.ChunkedArray, device_id: str) -> tuple[int, int]:
    """Where the rows of a device begin and end in a sorted column of device ids."""
    begin = stop = offset = 0
    for chunk in ids.chunks:
        low, high = _run_in(chunk, device_id)
        if low < high:
            begin = begin if begin < stop else offset + low
            stop = offset + high
        offset += len(chunk)
    return begin, stop


def _run_in(ids: Any, device_id: str) -> tuple[int, int]:
    if isinstance(ids, pa.DictionaryArray):  # made in the order of the rows, so the places are sorted too
        place = pc.index(ids.dictionary, device_id).as_py()
        if place < 0:
            return 0, 0
        low, high = np.searchsorted(ids.indices.to_numpy(), np.array([place, place + 1], np.int32))
        return int(low), int(high)
    places = range(len(ids))

    def at(place: int) -> Any:
        return ids[place].as_py()

    low = bisect.bisect_left(places, device_id, key=at)
    return low, bisect.bisect_right(places, device_id, lo=low, key=at)
