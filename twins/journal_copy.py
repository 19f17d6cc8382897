"""A copy of a host's folder, journal and snapshots, taken while the host goes on writing."""

import contextlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twins import snapshots
from twins.errors import JournalCorruptError
from twins.journal import JournalReader, journal_files, sync_folder

JOURNAL: Final = "journal"
SNAPSHOTS: Final = "snapshots"


@dataclass(frozen=True, slots=True)
class CopiedHost:
    """What a copy holds: entries ``first`` to ``last``, and a snapshot of entry ``snapshot`` (0: there is none)."""

    first: int
    last: int
    snapshot: int

    def goes_on_after(self, cursor: int) -> bool:
        """Whether nothing is missing for whoever knows everything up to ``cursor``, nor between snapshot and journal."""
        return self.first <= min(cursor, self.snapshot) + 1 and self.last >= cursor


def copy_host(folder: Path, target: Path) -> CopiedHost:
    """Copy what a host needs to begin again, verified. How far its recorder is, is for the copy of history to say.

    Snapshots first: the journal, copied after them, then reaches beyond the newest. It may have been cut meanwhile beyond
    what the snapshots include; ``CopiedHost.goes_on_after`` tells, and then the copy is to be taken again.

    Raises
    ------
    JournalCorruptError : an entry cannot be read.
    OSError, sqlite3.Error : of the disk, or a file that left it while it was copied.
    """
    shutil.rmtree(target, ignore_errors=True)
    (target / SNAPSHOTS).mkdir(parents=True)
    for cursor in snapshots.cursors(folder / SNAPSHOTS):
        name = f"{cursor:020d}.snapshot"
        with contextlib.suppress(FileNotFoundError):  # a newer one took its place
            shutil.copyfile(folder / SNAPSHOTS / name, target / SNAPSHOTS / name)
    found, damage = snapshots.newest(target / SNAPSHOTS)
    copy_journal(folder / JOURNAL, target / JOURNAL)
    reader = JournalReader(target / JOURNAL)
    try:
        inspection = reader.verify()
    finally:
        reader.close()
    if inspection.damage:
        worst = inspection.damage[0]
        raise JournalCorruptError(str(folder / JOURNAL), worst.problem, worst.first)
    for problem in damage:
        raise OSError(problem)
    return CopiedHost(inspection.first, inspection.last, 0 if found is None else found[0])


def copy_journal(folder: Path, target: Path) -> None:
    """Copy the files of a journal, oldest first, each as of one moment, until the newest one is among them."""
    target.mkdir(parents=True, exist_ok=True)
    following = 0
    while todo := [path for first, path in journal_files(folder) if first >= following]:
        sealed = [_copy_file(path, target / path.name) for path in todo][-1]
        if not sealed:
            break
        following = sealed + 1
    sync_folder(target)


def _copy_file(path: Path, target: Path) -> int:
    """Copy one file through SQLite, which sees what is committed; gives its last entry if nothing more comes into it."""
    with (
        contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        source.backup(copy)
        found = copy.execute("SELECT value FROM meta WHERE key = 'sealed'").fetchone()
    with target.open("rb") as file:
        os.fsync(file.fileno())
    return int(found[0]) if found else 0
