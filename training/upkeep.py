"""What has to be done to history again and again: sum up, join small files, let go what is old, delete what
is unused.

Each pass is safe beside the recorder and beside queries, and can be ended at any point.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa
from deltalake.exceptions import DeltaError

from training import rollups
from training.compaction import CompactionConfig, compact, seal_plain
from training.errors import HistoryConflictError, UpkeepError
from training.keeping import KeepingConfig, KeptSnapshots
from training.tables import READINGS, ROLLUP, File, Table
from twins.clock import DAY_US
from twins.errors import FleetError

_log = logging.getLogger("twinfold.history")

_LINES: Final = "lines"
_FOREVER: Final = ("devices", "types")  # without them nothing else can be read


@dataclass(frozen=True, slots=True)
class RetentionConfig:
    """How long the tables are kept, in days since a row happened or came in, whichever is later; readings also by bytes.

    Rollups, events and inputs outlive the readings they came from. Files go whole: a row goes when the newest
    of its file is too old.
    """

    readings_days: float = 365.0
    readings_gb: float = 100.0
    rollups_days: float = 10 * 365.0
    events_days: float = 10 * 365.0
    unused_hours: float = 2.0  # files out of use are deleted after this; longer than any query


@dataclass(frozen=True, slots=True)
class UpkeepConfig:
    """How history is kept in order."""

    compaction: CompactionConfig = field(default_factory=CompactionConfig)
    retention: RetentionConfig = field(default_factory=RetentionConfig)


def upkeep(
    folder: str | Path, actors: Sequence[str], now_us: int, config: UpkeepConfig | None = None
) -> None:
    """One pass over all tables of a history. ``actors`` are those whose journals are recorded.

    No table's trouble keeps the others from their turn: where a full disk keeps one from being summed up, what is old
    still goes.

    Raises
    ------
    UpkeepError : some of it failed; the rest was done.
    """
    folder = Path(folder)
    config = config or UpkeepConfig()
    kept = KeptSnapshots(folder)
    failed: list[str] = []

    def attempt(name: str, work: Callable[[], object]) -> None:
        try:
            work()
        except HistoryConflictError as error:
            _log.info("left for the next time: %s", error)
        except (FleetError, OSError, pa.ArrowException, DeltaError) as error:
            failed.append(f"{name}: {error}")

    readings = [table for table in _tables(folder) if _is_readings(table)]
    for table in readings:  # before any of them go
        if table.name.startswith(READINGS):
            attempt(table.name, partial(rollups.roll_up, folder, table.name, actors))
    for table in _tables(folder):
        attempt(table.name, partial(retain, table, now_us, config.retention, kept.note_gone))
    limit = round(config.retention.readings_gb * 1e9)
    attempt("readings", partial(limit_bytes, readings, limit, kept.note_gone))
    attempt("snapshots", partial(kept.thin, now_us, KeepingConfig(days=config.retention.readings_days)))
    for table in _tables(folder):
        attempt(table.name, partial(table.clean, config.retention.unused_hours * 3600))
    for table in _tables(folder):
        attempt(table.name, partial(compact, table, config.compaction))
        attempt(table.name, partial(seal_plain, table))
    if failed:
        raise UpkeepError(failed[0], len(failed) - 1)


def _tables(folder: Path) -> list[Table]:
    return [table for table in map(Table, sorted(folder.glob("*"))) if table.exists]


def _is_readings(table: Table) -> bool:
    return table.name.startswith(READINGS) or table.name == _LINES


def retain(
    table: Table, now_us: int, config: RetentionConfig, note: Callable[[File], None] | None = None
) -> int:
    """Take files out whose rows are all too old. Returns how many. Of readings, ``note`` is told each file first."""
    if table.name in _FOREVER:
        return 0
    days = config.events_days
    if _is_readings(table):
        days = config.readings_days
    elif table.name.startswith(ROLLUP):
        days = config.rollups_days
    horizon_us = now_us - round(days * DAY_US)
    old = [file for file in table.version(()).files if _end_us(file, now_us) < horizon_us]
    if old:
        _note(table, old, note)
        table.commit([], removes=old)
    return len(old)


def limit_bytes(tables: Sequence[Table], limit: int, note: Callable[[File], None] | None = None) -> int:
    """Take the oldest files of these tables out until the rest is within ``limit`` bytes. Returns how many; ``note`` is
    told each file first.
    """
    files = [(table, file) for table in tables for file in table.version(()).files]
    total = sum(file.size for _, file in files)
    gone = 0
    for table, file in sorted(files, key=lambda each: _end_us(each[1], 0)):
        if total <= limit:
            break
        _note(table, [file], note)
        table.commit([], removes=[file])
        total -= file.size
        gone += 1
    return gone


def _note(table: Table, files: Sequence[File], note: Callable[[File], None] | None) -> None:
    if note is not None and _is_readings(table):
        for file in files:
            note(file)


def _end_us(file: File, unknown_us: int) -> int:
    """When the newest row of a file happened or, where that is later, came in: what was imported today is not old."""
    known = [file.greatest.get(name) for name in ("event_time", "recorded_at", "ingest_us")]
    return max((int(each) for each in known if each is not None), default=unknown_us)
