"""What a replay writes: a result for every row of its files, and every event, as two Parquet files.

``readings.parquet``: ``device_id``, ``event_time``, ``source_file`` (the path as it was given),
``source_row`` (from zero, the header not counted), ``disposition``, ``health`` (0 to 100, null while it is
not known), ``anomaly_score`` (0 to 1), ``anomalous``, ``patterns`` (their names). ``events.parquet``:
``device_id``, ``event_time``, ``type``, ``detail`` (JSON). Files are written under another name and renamed
when whole.
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from training.sources import SourceBatch
from twins.events import PATTERNS, Event
from twins.kernels import LineResults
from twins.readings import Fate

DISPOSITIONS: Final = tuple(fate.name.lower() for fate in Fate)
"""What became of a row, by the code of its fate; a row that names no device or no time is ``bad``."""

RESULTS: Final = pa.schema(
    [
        ("device_id", pa.string()),
        ("event_time", pa.timestamp("us", "UTC")),
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
        ("disposition", pa.string()),
        ("health", pa.float32()),
        ("anomaly_score", pa.float32()),
        ("anomalous", pa.bool_()),
        ("patterns", pa.list_(pa.string())),
    ]
)

EVENTS: Final = pa.schema(
    [
        ("device_id", pa.string()),
        ("event_time", pa.timestamp("us", "UTC")),
        ("type", pa.string()),
        ("detail", pa.string()),
    ]
)

_ROW_GROUP: Final = 262_144
_MASKS: Final = pa.array(
    [[name for i, name in enumerate(PATTERNS) if mask >> i & 1] for mask in range(256)], pa.list_(pa.string())
)


class ReplayWriter:
    """The two files of a replay, open until the ``with`` block ends; an error throws them away."""

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._results = _Growing(folder / "readings.parquet", RESULTS)
        self._events = _Growing(folder / "events.parquet", EVENTS)
        self._files = pa.array(files, pa.string())
        self.dispositions = dict.fromkeys(DISPOSITIONS, 0)
        self.events = 0

    def __enter__(self) -> "ReplayWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._results, self._events):
            file.close(keep=kind is None)

    def add(self, batch: SourceBatch, results: LineResults) -> None:
        """The results of a batch, a row for each of its rows, in their order."""
        table = _table(batch, results)
        counts = np.bincount(table["code"].to_numpy(), minlength=len(DISPOSITIONS))
        for name, count in zip(DISPOSITIONS, counts.tolist(), strict=True):
            self.dispositions[name] += count * len(batch.files)
        disposition = pa.array(DISPOSITIONS).take(table["code"])
        for file in batch.files:
            source = self._files.take(pa.array(np.full(len(table), file)))
            whole = table.append_column("disposition", disposition).append_column("source_file", source)
            self._results.add(whole.select(RESULTS.names))

    def tell(self, events: Iterable[Event]) -> None:
        """What happened."""
        told = list(events)
        if told:
            self.events += len(told)
            self._events.add(
                pa.table(
                    [
                        [event.device_id for event in told],
                        pa.array([event.at_us for event in told], EVENTS.field("event_time").type),
                        [event.type for event in told],
                        [json.dumps(event.detail, ensure_ascii=False) for event in told],
                    ],
                    schema=EVENTS,
                )
            )


class _Growing:
    """A Parquet file that is written in large row groups, under another name until it is whole."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._unfinished = path.with_name(path.name + ".part")
        self._writer = pq.ParquetWriter(self._unfinished, schema, compression="zstd")
        self._held: list[pa.Table] = []
        self._count = 0

    def add(self, table: pa.Table) -> None:
        self._held.append(table)
        self._count += len(table)
        if self._count >= _ROW_GROUP:
            self._flush()

    def close(self, *, keep: bool) -> None:
        if keep:
            self._flush()
        self._writer.close()
        if not keep:
            self._unfinished.unlink()
            return
        with self._unfinished.open("rb") as file:
            os.fsync(file.fileno())
        self._unfinished.replace(self._path)

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.concat_tables(self._held))
            self._held, self._count = [], 0


def _table(batch: SourceBatch, results: LineResults) -> pa.Table:
    """A row for each row of the file: those that have a line, and among them those that were rejected."""
    readings = batch.readings
    pick: Any = slice(None) if batch.answers is None else np.flatnonzero(batch.answers)
    rows = batch.rows[pick]
    index = readings.index[pick]
    score = np.nan_to_num(results.anomaly_score[pick])  # a row that was not taken is no novelty
    table = pa.table(
        {
            "device_id": readings.ids.take(pa.array(index)),
            "event_time": pa.array(readings.event_us[pick]).cast(RESULTS.field("event_time").type),
            "source_row": rows,
            "code": results.fate[pick],
            "health": pa.array(results.health[pick], from_pandas=True),
            "anomaly_score": score,
            "anomalous": results.anomalous[pick].astype(bool),
            "patterns": _MASKS.take(pa.array(results.patterns[pick])),
        }
    )
    if not len(batch.rejected):
        return table
    both = pa.concat_tables([table, _rejected(batch, table.schema)])
    order: NDArray[np.intp] = np.argsort(np.concatenate([rows, batch.rejected]), kind="stable")
    return both.take(pa.array(order)).combine_chunks()


def _rejected(batch: SourceBatch, schema: pa.Schema) -> pa.Table:
    n = len(batch.rejected)
    known: dict[str, Any] = {
        "device_id": batch.rejected_ids,
        "source_row": batch.rejected,
        "code": np.full(n, Fate.BAD, np.uint8),
        "anomaly_score": np.zeros(n, np.float32),
        "anomalous": np.zeros(n, bool),
        "patterns": _MASKS.take(pa.array(np.zeros(n, np.uint8))),
    }
    return pa.table(
        [pa.array(known[field.name]) if field.name in known else pa.nulls(n, field.type) for field in schema],
        schema=schema,
    )
