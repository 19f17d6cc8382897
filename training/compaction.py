"""Small files made into larger ones, in the same order and encoding: one commit takes them out and puts the
other in.

Not left to the Delta library, whose compaction keeps neither. Files are joined with their neighbours in time,
so that a file stays a stretch of time and a query for an hour opens few.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from training import ordering
from training.tables import File, Table


@dataclass(frozen=True, slots=True)
class CompactionConfig:
    """Files below half of ``target_rows`` are joined, at least ``at_least`` of them, until there are that
    many rows.
    """

    target_rows: int = 8_000_000
    at_least: int = 4


def compact(table: Table, config: CompactionConfig) -> int:
    """Join what is small in a table. Returns the number of files that were joined.

    Raises
    ------
    HistoryConflictError : somebody else replaced one of the files meanwhile; nothing was changed.
    """
    joined = 0
    for group in list(groups(table.version(()).files, config)):
        rows = pa.concat_tables([_read(file) for file in group])
        add = table.write(_sorted(rows))
        table.commit([add], removes=group, new_rows=False)
        joined += len(group)
    return joined


def groups(files: Sequence[File], config: CompactionConfig) -> Iterator[list[File]]:
    """Neighbours in time that are worth joining."""
    group: list[File] = []
    rows = 0
    for file in [*sorted(files, key=_start), None]:
        if file is not None and 2 * file.rows < config.target_rows and rows + file.rows <= config.target_rows:
            group.append(file)
            rows += file.rows
            continue
        if len(group) >= config.at_least:
            yield group
        group, rows = [], 0
        if file is not None and 2 * file.rows < config.target_rows:
            group, rows = [file], file.rows


def _start(file: File) -> tuple[int, str]:
    return file.least.get("event_time", 0), file.path


def _read(file: File) -> pa.Table:
    return pq.read_table(file.path, partitioning=None, page_checksum_verification=True)


def _sorted(rows: pa.Table) -> pa.Table:
    """By device and time, or by time alone where a table is not about devices; equal rows keep their
    order.
    """
    rows = rows.combine_chunks()
    if not {"device_id", "event_time"} <= set(rows.column_names):
        order = [(name, "ascending") for name in ("actor", "cursor") if name in rows.column_names]
        return rows.sort_by(order)
    ids = pc.unique(rows["device_id"]).sort()
    place = (
        pc.index_in(rows["device_id"].combine_chunks(), ids).to_numpy(zero_copy_only=False).astype(np.int32)
    )
    event_us = rows["event_time"].combine_chunks().cast(pa.int64()).to_numpy()
    return rows.take(pa.array(ordering.by_device_and_time(place, event_us, len(ids))))
