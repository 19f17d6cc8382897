"""What journal entries hold: readings with what became of them, commands, ticks, marks, scores, and their
events.

Readings are the bulk, so what is regular in them is said once instead of once a line: rows that count up, one
event time for all, every channel present, everything scored. Encoding is a few passes over columns; decoding
copies only what a compiled kernel must not share. Formats carry a version; a field may be added, never
repurposed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from twins.events import EVENT, EventBatch
from twins.packing import Arrays, pack, unpack
from twins.prognosis import Prognoses
from twins.readings import ShardBatch, all_present

VERSION: Final = 1

Blob = bytes | bytearray | memoryview


class EntryKind(IntEnum):
    """The kind of a journal entry. Codes are on disk: add, never renumber."""

    LOST = 0  # stands for an entry that could no longer be read
    READINGS = 1
    COMMAND = 2
    TICK = 3
    MARK = 4
    SCORES = 5


class Outcome(Protocol):
    """What became of each line, as ``kernels.LineResults`` has it: a fate, and masks of channels."""

    @property
    def fate(self) -> NDArray[np.uint8]: ...
    @property
    def bad(self) -> NDArray[np.uint64]: ...
    @property
    def late(self) -> NDArray[np.uint64]: ...
    @property
    def duplicate(self) -> NDArray[np.uint64]: ...


@dataclass(frozen=True, slots=True, eq=False)
class ReadingLines:
    """A readings entry read back: the batch, and what became of it.

    ``fate`` (n,) is a ``Fate``; ``bad``, ``late`` and ``duplicate`` (n,) are masks of channels. None: 0 in
    every line.
    """

    device_type: str
    batch: ShardBatch
    fate: NDArray[np.uint8] | None
    bad: NDArray[np.uint64] | None
    late: NDArray[np.uint64] | None
    duplicate: NDArray[np.uint64] | None


def encode_readings(device_type: str, batch: ShardBatch, outcome: Outcome | None = None) -> bytearray:
    """The payload of a readings entry. Without an outcome every line counts as scored."""
    n, channels = batch.values.shape
    meta: dict[str, Any] = {"v": VERSION, "type": device_type, "n": n}
    arrays: Arrays = {"values": batch.values}
    if _counts_up(batch.rows):
        meta["rows_from"] = int(batch.rows[0]) if n else 0
    else:
        arrays["rows"] = batch.rows
    if n and _constant(batch.event_us):
        meta["event_us"] = int(batch.event_us[0])
    else:
        arrays["event_us"] = batch.event_us
    if not (batch.present == all_present(channels)).all():
        arrays["present"] = batch.present
    if outcome is not None:
        for name in ("fate", "bad", "late", "duplicate"):
            column = getattr(outcome, name)
            if column.any():
                arrays[name] = column
    return pack(meta, arrays)


def decode_readings(payload: Blob) -> tuple[str, ShardBatch]:
    """Device type and batch of a readings entry, in arrays of their own, as a kernel takes them."""
    lines = decode_lines(payload)
    batch = lines.batch
    owned = ShardBatch(
        _own(batch.rows),
        _own(batch.event_us),
        _own(batch.values),
        _own(batch.present),
    )
    return lines.device_type, owned


def decode_lines(payload: Blob) -> ReadingLines:
    """A readings entry with what became of each line. Large arrays are read-only views into ``payload``.

    Raises
    ------
    PackingError : the payload is not a block that this version can read.
    """
    meta, arrays = unpack(payload, verify=False)  # the journal has compared checksums
    n, values = meta["n"], arrays["values"]
    rows = arrays.get("rows")
    if rows is None:
        rows = np.arange(meta["rows_from"], meta["rows_from"] + n, dtype=np.int32)
    event_us = arrays.get("event_us")
    if event_us is None:
        event_us = np.full(n, meta["event_us"], np.int64)
    present = arrays.get("present")
    if present is None:
        present = np.full(n, all_present(values.shape[1]), np.uint64)
    return ReadingLines(
        meta["type"],
        ShardBatch(rows, event_us, values, present),
        arrays.get("fate"),
        arrays.get("bad"),
        arrays.get("late"),
        arrays.get("duplicate"),
    )


def encode_events(events: Mapping[str, EventBatch]) -> bytearray:
    """The events of one entry, by device type."""
    notes = {
        name: {str(at): note for at, note in batch.notes.items()}
        for name, batch in events.items()
        if batch.notes
    }
    return pack({"v": VERSION, "notes": notes}, {name: batch.records for name, batch in events.items()})


def decode_events(blob: Blob) -> dict[str, EventBatch]:
    """What ``encode_events`` was given."""
    meta, arrays = unpack(blob, verify=False)
    notes = meta["notes"]
    return {
        name: EventBatch(records.astype(EVENT), {int(at): note for at, note in notes.get(name, {}).items()})
        for name, records in arrays.items()
    }


def encode_command(name: str, body: Mapping[str, Any]) -> bytearray:
    """The payload of a command entry: its name in ``commands.COMMANDS`` and its fields as JSON values."""
    return pack({"v": VERSION, "command": name, "body": body})


def decode_command(payload: Blob) -> tuple[str, dict[str, Any]]:
    """Name and body of a command entry."""
    meta, _ = unpack(payload, verify=False)
    return meta["command"], meta["body"]


def encode_scores(told: Prognoses) -> bytearray:
    """The payload of a scores entry."""
    said = {"v": VERSION, "type": told.device_type, "model": told.model, "shadow": told.is_shadow}
    return pack(said, told.arrays())


def decode_scores(payload: Blob) -> Prognoses:
    """What ``encode_scores`` was given, without the seal; arrays are read-only views into ``payload``."""
    meta, arrays = unpack(payload, verify=False)
    return Prognoses.from_arrays(meta["type"], meta["model"], meta["shadow"], arrays)


def _counts_up(rows: NDArray[np.int32]) -> bool:
    n = len(rows)
    if n == 0 or int(rows[-1]) - int(rows[0]) != n - 1:
        return n == 0
    return bool((rows[1:] - rows[:-1] == 1).all())


def _constant(column: NDArray[np.int64]) -> bool:
    return bool(column[0] == column[-1] and (column == column[0]).all())


def _own(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.flags.writeable else array.copy()
