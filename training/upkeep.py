"""What has to be done to history again and again: sum up, join small files, let go what is old, delete what
is unused.

Each pass is safe beside the recorder and beside queries, and can be ended at any point.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from training import rollups
from training.compaction import CompactionConfig, compact
from training.errors import HistoryConflictError
from training.keeping import KeepingConfig, KeptSnapshots
from training.tables import READINGS, ROLLUP, File, Table
from twins.clock import DAY_US

_log = logging.getLogger("twinfold.history")

_FOREVER: Final = ("devices", "types")  # without them nothing else can be read


@dataclass(frozen=True, slots=True)
class RetentionConfig:
    """How long the tables are kept, in days of event time; readings also by what they take on disk.

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
    """One pass over all tables of a history. ``actors`` are those whose journals are recorded."""
    folder = Path(folder)
    config = config or UpkeepConfig()
    kept = KeptSnapshots(folder)
    names = sorted(path.name for path in folder.glob("*") if (path / "_delta_log").is_dir())
    for name in names:
        if name.startswith(READINGS):
            _attempt(lambda name=name: rollups.roll_up(folder, name, actors))  # type: ignore[misc]
    names = sorted(path.name for path in folder.glob("*") if (path / "_delta_log").is_dir())
    for name in names:
        table = Table(folder / name)
        _attempt(lambda table=table: retain(table, now_us, config.retention, kept.note_gone))  # type: ignore[misc]
        _attempt(lambda table=table: compact(table, config.compaction))  # type: ignore[misc]
        table.clean(config.retention.unused_hours * 3600)
    readings = [Table(folder / name) for name in names if name.startswith(READINGS)]
    _attempt(lambda: limit_bytes(readings, round(config.retention.readings_gb * 1e9), kept.note_gone))
    kept.thin(now_us, KeepingConfig(days=config.retention.readings_days))


def retain(
    table: Table, now_us: int, config: RetentionConfig, note: Callable[[File], None] | None = None
) -> int:
    """Take files out whose rows are all too old. Returns how many. Of readings, ``note`` is told each file first."""
    if table.name in _FOREVER:
        return 0
    days = config.events_days
    if table.name.startswith(READINGS):
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
    if note is not None and table.name.startswith(READINGS):
        for file in files:
            note(file)


def _end_us(file: File, unknown_us: int) -> int:
    for name in ("event_time", "recorded_at"):
        if name in file.greatest:
            return int(file.greatest[name])
    return unknown_us


def _attempt(work: Callable[[], object]) -> None:
    """Somebody else's commit came first: the next pass does it."""
    try:
        work()
    except HistoryConflictError as error:
        _log.info("left for the next time: %s", error)
