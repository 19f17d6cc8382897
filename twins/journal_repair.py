"""Makes a damaged journal usable again: what is whole stays, a LOST entry stands for each that is not.

Cursors stay dense, so every consumer walks over the damage and learns of it. Damaged files are kept in
``damaged/`` as they were found.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from twins.errors import JournalError
from twins.journal import (
    LOST,
    Inspection,
    JournalReader,
    StoredEntry,
    create_file,
    journal_files,
    lock_folder,
)

DAMAGED: Final = "damaged"


def salvage(folder: str | Path, *, at_least: int = 0) -> Inspection:
    """Rewrite the damaged files of a journal that nobody owns. Returns what was found before.

    ``at_least`` is the highest cursor that any consumer has seen (a snapshot, the recorder): the log goes on
    after it even where its own end is gone, so that no cursor is given out twice. Ended half-way, it can be
    run again.

    Raises
    ------
    FencedError : a running process owns the journal; stop it first.
    """
    folder = Path(folder)
    lock = lock_folder(folder)
    try:
        with contextlib.closing(JournalReader(folder)) as reader:
            found = reader.verify()
        end = max(found.last, at_least)
        files = journal_files(folder)
        lasts = [first - 1 for first, _ in files[1:]] + [end]
        epoch = now_us = 0
        for (first, path), last in zip(files, lasts, strict=True):
            newest = last == end
            with contextlib.closing(JournalReader(folder)) as reader:
                now_us = now_us or _begins_us(reader, first, found.last)
                entries = list(_filled(reader, first, last, epoch, now_us))
            epoch = max([epoch, *(entry.epoch for entry in entries)])
            now_us = max([now_us, *(entry.now_us for entry in entries)])
            # the newest is always written anew: its log may hold frames that SQLite no longer believes
            if newest or any(entry.kind == LOST for entry in entries) or not _closed(path):
                _set_aside(path, folder / DAMAGED)
                create_file(
                    folder,
                    first,
                    epoch=epoch,
                    cut=files[0][0] - 1,
                    sealed=0 if newest else last,
                    entries=entries,
                )
    finally:
        os.close(lock)
    return found


def _filled(reader: JournalReader, first: int, last: int, epoch: int, now_us: int) -> Iterator[StoredEntry]:
    """Entries ``first`` to ``last``, a LOST one where none can be read, with epoch and time of the one before it."""
    cursor = first
    while cursor <= last:
        try:
            entries = reader.read_after(cursor - 1, limit_entries=last - cursor + 1)
        except JournalError:  # damaged, or beyond the end of a log whose end is gone
            entries = []
        if not entries:
            yield StoredEntry(cursor, epoch, LOST, now_us, b"", None)
            cursor += 1
        for entry in entries:
            yield entry
            cursor, epoch, now_us = entry.cursor + 1, entry.epoch, entry.now_us


def _begins_us(reader: JournalReader, first: int, last: int) -> int:
    """Shard time of the first entry from ``first`` on that can be read: what is lost before it came no later."""
    for cursor in range(first, last + 1):
        with contextlib.suppress(JournalError):
            return next(entry.now_us for entry in reader.read_after(cursor - 1, limit_entries=1))
    return 0


def _closed(path: Path) -> bool:
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            return bool(connection.execute("SELECT value FROM meta WHERE key = 'sealed'").fetchone()[0])
    except sqlite3.DatabaseError:
        return False


def _set_aside(path: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for source in (path, Path(f"{path}-wal")):
        if source.exists():
            shutil.copy2(source, folder / source.name)
