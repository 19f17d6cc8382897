"""Small files made into larger ones, in the same order and encoding: one commit takes them out and puts the
other in.

Not left to the Delta library, whose compaction keeps neither. Files are joined with their neighbours in time,
so that a file stays a stretch of time. They grow in steps, a few alike made into one, as the size-tiered
compaction of a log-structured merge tree does (O'Neil et al., The Log-Structured Merge-Tree, 1996): a day of one
device lies in few files, and a row is written anew a few times only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from training import ordering, parquet_files
from training.tables import File, Table
from twins.sealing import sealer_of

_AT_ONCE_ROWS: Final = (
    2_000_000  # that are decoded and sorted at once; some hundred bytes each, more than once
)
_WHOLE_ROWS: Final = 8_000_000  # in a file of what cannot be sorted a part at a time
_RUN_FILES: Final = 512  # joined at once, at most
_KEYS: Final = ("device_id", "event_time")
_CODED: Final = ("device_id", "actor")
_EVER: Final = (-(1 << 63), (1 << 63) - 1)

_Key = tuple[str, int]  # device id, event time in µs: what rows are sorted by


@dataclass(frozen=True, slots=True)
class CompactionConfig:
    """Neighbours in time are joined, up to ``target_rows`` together, where none has more than one part in
    ``at_least`` of their rows: so the file that a row lies in grows by that factor each time it is written anew.
    """

    target_rows: int = 32_000_000
    at_least: int = 4


def compact(table: Table, config: CompactionConfig) -> int:
    """Join what is small in a table. Returns the number of files that were joined.

    Raises
    ------
    HistoryConflictError : somebody else replaced one of the files meanwhile; nothing was changed.
    """
    joined = 0
    version = table.version(())
    if not set(_KEYS) <= set(version.schema.names):
        config = replace(config, target_rows=min(config.target_rows, _WHOLE_ROWS))
    for group in list(groups(version.files, config)):
        add = table.write_settled(sorted_parts(group, _AT_ONCE_ROWS), sum(file.rows for file in group))
        table.commit([add], removes=group, new_rows=False)
        joined += len(group)
    return joined


def seal_plain(table: Table) -> int:
    """Write a file anew that lies plain where the table's folder is encrypted: one a call, since that may take a while.

    Returns how many are left.

    Raises
    ------
    HistoryConflictError : somebody else replaced the file meanwhile; nothing was changed.
    """
    if sealer_of(table.folder) is None:
        return 0
    plain = [file for file in table.version(()).files if not parquet_files.is_sealed(file.path)]
    if plain:
        file = min(plain, key=lambda each: each.size)
        add = table.write_settled(sorted_parts([file], _AT_ONCE_ROWS), file.rows)
        table.commit([add], removes=[file], new_rows=False)
    return max(0, len(plain) - 1)


def groups(files: Sequence[File], config: CompactionConfig) -> Iterator[list[File]]:
    """Neighbours in time that are worth joining: from the oldest on, as many as may be."""
    ordered = sorted(files, key=_start)
    at = 0
    while at < len(ordered):
        count = _joinable(ordered[at : at + _RUN_FILES], config)
        if count:
            yield ordered[at : at + count]
        at += max(1, count)


def _joinable(files: Sequence[File], config: CompactionConfig) -> int:
    """How many of the first of these are worth joining."""
    rows = most = count = 0
    for number, file in enumerate(files, 1):
        rows, most = rows + file.rows, max(most, file.rows)
        if rows > config.target_rows:
            break
        if number > 1 and config.at_least * most <= rows:
            count = number
    return count


def _start(file: File) -> tuple[int, str]:
    return file.least.get("event_time", 0), file.path


def sorted_parts(files: Sequence[File], at_once: int) -> Iterator[pa.Table]:
    """All rows of some files by device and time, or by time alone where a table is not about devices; equal rows keep
    their order.

    They come in parts of about ``at_once`` rows. No more is in memory at a time, if each file has its rows in that order
    already; only speed depends on it.
    """
    opened = [_opened(file.path) for file in files]
    try:
        spans = [_spans(file.metadata) for file in opened]
        if sum(file.rows for file in files) <= at_once or not all(spans):
            yield _sorted(_joined([file.read() for file in opened]))
            return
        cuts = _cuts(spans, at_once)
        for low, high in zip(cuts, [*cuts[1:], None], strict=True):
            parts = [
                _between(file.read_row_groups(_overlapping(own, low, high)), low, high)
                for file, own in zip(opened, spans, strict=True)
            ]
            yield _sorted(_joined(parts))
    finally:
        for file in opened:
            file.close()


def _joined(parts: Sequence[pa.Table]) -> pa.Table:
    """One after the other; a column that one does not have is null there."""
    return pa.concat_tables(parts, promote_options="default")


def _opened(path: str) -> pq.ParquetFile:
    """A file whose ids are read as codes: they repeat, and are compared once each."""
    decryption = parquet_files.decryption_of(path)
    footer = pq.read_metadata(path, decryption_properties=decryption)
    names = set(footer.schema.names)
    coded = [name for name in _CODED if name in names] if set(_KEYS) <= names else None
    return pq.ParquetFile(
        path,
        metadata=footer,
        page_checksum_verification=True,
        read_dictionary=coded,
        decryption_properties=decryption,
    )


@dataclass(frozen=True, slots=True)
class _Span:
    """The rows of a row group have keys from ``first`` to ``last``."""

    first: _Key
    last: _Key
    rows: int


def _spans(footer: pq.FileMetaData) -> list[_Span]:
    """The span of each row group; none: the file is not about devices, or does not tell."""
    names = footer.schema.to_arrow_schema().names
    if not set(_KEYS) <= set(names):
        return []
    spans = []
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        device, time = (group.column(names.index(name)).statistics for name in _KEYS)
        if any(told is None or not told.has_min_max or told.null_count for told in (device, time)):
            return []
        earliest, latest = (time.min_raw, time.max_raw) if device.min == device.max else _EVER
        spans.append(_Span((device.min, earliest), (device.max, latest), group.num_rows))
    return spans


def _cuts(files: Sequence[Sequence[_Span]], at_once: int) -> list[_Key]:
    """Where each part begins."""
    cuts = [("", _EVER[0])]
    rows = 0
    for span in sorted((span for spans in files for span in spans), key=lambda span: span.first):
        if rows >= at_once and span.first > cuts[-1]:
            cuts.append(span.first)
            rows = 0
        rows += span.rows
    return cuts


def _overlapping(spans: Sequence[_Span], low: _Key, high: _Key | None) -> list[int]:
    """The row groups that may have a row from ``low`` on, below ``high``."""
    return [n for n, span in enumerate(spans) if span.last >= low and (high is None or span.first < high)]


def _between(rows: pa.Table, low: _Key, high: _Key | None) -> pa.Table:
    devices, codes = _devices(rows)
    event_us = rows[_KEYS[1]].cast(pa.int64()).to_numpy()

    def below(key: _Key) -> NDArray[np.bool_]:
        lesser, same = (_mask(compare(devices, key[0])) for compare in (pc.less, pc.equal))
        found: NDArray[np.bool_] = lesser[codes] | same[codes] & (event_us < key[1])
        return found

    keep = ~below(low)
    return rows.filter(pa.array(keep if high is None else keep & below(high)))


def _sorted(rows: pa.Table) -> pa.Table:
    if not set(_KEYS) <= set(rows.column_names):
        order = [(name, "ascending") for name in ("actor", "cursor") if name in rows.column_names]
        return rows.sort_by(order)
    rows = rows.unify_dictionaries().combine_chunks()
    devices, codes = _devices(rows)
    rank = np.empty(len(devices), np.int32)
    rank[pc.sort_indices(devices).to_numpy()] = np.arange(len(devices), dtype=np.int32)
    event_us = rows[_KEYS[1]].cast(pa.int64()).to_numpy()
    return rows.take(pa.array(ordering.by_device_and_time(rank[codes], event_us, len(devices))))


def _devices(rows: pa.Table) -> tuple[pa.Array, NDArray[np.int32]]:
    """The devices, and which of them each row is of."""
    column = rows[_KEYS[0]]
    if column.null_count:
        column = column.cast(pa.string()).fill_null("").dictionary_encode()
    column = column.unify_dictionaries()
    devices = column.chunk(0).dictionary if column.num_chunks else pa.array([], pa.string())
    codes = [chunk.indices.to_numpy() for chunk in column.chunks]
    return devices, np.concatenate([np.zeros(0, np.int32), *codes])


def _mask(hits: Any) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = hits.to_numpy(zero_copy_only=False)
    return found
