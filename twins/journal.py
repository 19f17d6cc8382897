"""The durable log of one actor: append, read after a cursor, cut. It knows nothing of what its entries mean.

A journal is a folder with a row of SQLite files (WAL, ``synchronous=FULL``). Cursors count 1, 2, 3 … over all
files without a gap; a file is named by the cursor of its first entry, is closed when it has grown to
``file_bytes`` and leaves the disk whole. Every entry carries the epoch of the owner that wrote it and a CRC
of all of it, because SQLite does not notice a flipped bit.

Where the folder is encrypted, payload and events lie sealed (``journal_sealing.py``), and the CRC is of what lies there:
damage is found without the key. A file that was begun before is closed when its journal is next opened.

What holds, whatever becomes of process or disk:

* ``append`` returned: its entries survive a power cut, all of them. It raised: nothing is read or written
  before ``recover`` has found out where the log truly ends.
* One owner writes. A lock file keeps a second one out; should the lock be lost, the epoch in the file does,
  because it is compared inside the transaction that appends.
* Damage is reported, never skipped: a wrong checksum, a missing entry or file, an end that was torn off.
  Whole entries before it stay readable. ``journal_repair.salvage`` makes such a log usable again.
"""

import contextlib
import errno
import fcntl
import itertools
import os
import sqlite3
import struct
import threading
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

from twins import journal_sealing, write_ahead_log
from twins.errors import (
    DiskFullError,
    FencedError,
    JournalCorruptError,
    JournalError,
    JournalGapError,
    JournalWriteError,
    OverloadedError,
)
from twins.sealing import EntrySealer, SealBrokenError, sealer_of

LOST: Final = 0
"""The kind of an entry that stands for one that can no longer be read. Its payload is empty."""

FORMAT_VERSION: Final = 1
SEALED_VERSION: Final = 2
"""The format of a file whose entries are sealed."""

JOURNAL_SUFFIX: Final = ".journal"
_NEW: Final = ".new"
_SIDE_FILES: Final = ("-wal", "-shm")
_PAGE_BYTES: Final = 16384
_CHECKPOINT_BYTES: Final = 16 << 20  # a commit that also checkpoints so much stays below 50 ms
_BUSY_S: Final = 5.0
_RETRY_AFTER_S: Final = 1.0
_URGENT_SHARE: Final = 1.1
_HEAD: Final = struct.Struct("<qqqqqq")

_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE entry (
    cursor INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, kind INTEGER NOT NULL, now_us INTEGER NOT NULL,
    crc INTEGER NOT NULL, payload BLOB NOT NULL, events BLOB);
"""
_INSERT: Final = "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)"
_READ: Final = (
    "SELECT cursor, epoch, kind, now_us, crc, payload, events FROM entry"
    " WHERE cursor > ? ORDER BY cursor LIMIT ?"
)
_ADVICE: Final = "entries before it can be read; its owner salvages the rest when it opens the journal"

Blob = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class JournalConfig:
    """How large a journal may grow.

    ``file_bytes``: size at which a new file is begun. ``max_bytes``: size of all files at which appends are
    refused.
    """

    file_bytes: int = 256 << 20
    max_bytes: int = 4 << 30


class Entry(NamedTuple):
    """What is appended: a kind above zero, the shard time, the input, and the events it caused, if any."""

    kind: int
    now_us: int
    payload: Blob
    events: Blob | None = None


class StoredEntry(NamedTuple):
    """An entry read back, with its place and the epoch of the owner that wrote it."""

    cursor: int
    epoch: int
    kind: int
    now_us: int
    payload: bytes
    events: bytes | None


@dataclass(frozen=True, slots=True)
class Damage:
    """Entries ``first`` to ``last`` cannot be read; ``problem`` says why."""

    first: int
    last: int
    problem: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a full scan found: ``entries`` whole ones between the cursors ``first`` and ``last``, and the
    damage.
    """

    first: int
    last: int
    entries: int
    damage: tuple[Damage, ...]


class JournalReader:
    """Reads a journal, also while another process writes it. No transaction stays open between two calls.

    May be shared between threads.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._reading = threading.Lock()
        self._open_file: tuple[Path, int] | None = None
        self._connection: sqlite3.Connection | None = None
        self._opener: journal_sealing.EntryOpener | None = None  # of the open file, if that is sealed,
        self._looked = False  # once it is known whether it is

    @property
    def first_cursor(self) -> int:
        """Cursor of the oldest entry still there; while there is none, of the next one."""
        files = journal_files(self.folder)
        return files[0][0] if files else 1

    @property
    def last_cursor(self) -> int:
        """Cursor of the newest durable entry; one below ``first_cursor`` while there is none."""
        with self._reading:
            for _ in range(3):
                files = journal_files(self.folder)
                if not files:
                    return 0
                first, path = files[-1]
                try:
                    newest = self._connect(path).execute("SELECT max(cursor) FROM entry").fetchone()[0]
                except (sqlite3.DatabaseError, FileNotFoundError) as error:
                    self._forget()
                    if path.exists():
                        raise _unreadable(path, error, first) from error
                else:
                    return first - 1 if newest is None else int(newest)
            raise self._restless()

    @property
    def bytes(self) -> int:
        """Bytes on disk, write-ahead logs included."""
        return sum(_size(path) for _, path in journal_files(self.folder))

    def read_after(
        self, cursor: int, limit_entries: int = 1000, limit_bytes: int = 64 << 20
    ) -> list[StoredEntry]:
        """The entries that follow ``cursor``, in order and without a gap; empty when there is nothing newer.

        At most ``limit_entries``, and none after those that together reach ``limit_bytes``.

        Raises
        ------
        JournalGapError : entries after ``cursor`` have been cut away.
        JournalCorruptError : the very next entry cannot be read. Whole entries before damage are returned
            first.
        JournalError : ``cursor`` lies beyond the end: the log lost its end, or is another one.
        """
        entries: list[StoredEntry] = []
        size = 0
        with self._reading:
            while len(entries) < limit_entries and size < limit_bytes:
                position = entries[-1].cursor if entries else cursor
                try:
                    more = self._read_file(position, limit_entries - len(entries), limit_bytes - size)
                except JournalError:
                    if entries:
                        break
                    raise
                if not more:
                    break
                entries += more
                size += sum(len(entry.payload) + len(entry.events or b"") for entry in more)
        return entries

    def verify(self) -> Inspection:
        """Read everything and report all damage. Takes as long as reading the whole log does."""
        first = cursor = self.first_cursor
        damage: list[Damage] = []
        entries = 0
        while True:
            try:
                batch = self.read_after(cursor - 1)
            except JournalCorruptError as error:
                whole = self._next_readable(cursor)
                damage.append(Damage(cursor, (whole or cursor + 1) - 1, error.problem))
                cursor = whole or cursor + 1
                if whole is None:
                    return Inspection(first, cursor - 1, entries, tuple(_merged(damage)))
                continue
            if not batch:
                return Inspection(first, cursor - 1, entries, tuple(_merged(damage)))
            entries += len(batch)
            cursor = batch[-1].cursor + 1

    def close(self) -> None:
        """Let go of the files; a later read opens them again."""
        with self._reading:
            self._forget()

    def _read_file(self, cursor: int, limit_entries: int, limit_bytes: int) -> list[StoredEntry]:
        """What follows ``cursor`` in the one file that holds it."""
        for _ in range(3):
            files = journal_files(self.folder)
            if files and cursor + 1 < files[0][0]:
                problem = (
                    f"entries {cursor + 1} to {files[0][0] - 1} have been cut away; start from a snapshot"
                )
                raise JournalGapError(str(self.folder), problem)
            at = max((i for i, (first, _) in enumerate(files) if first <= cursor + 1), default=None)
            if at is None:
                if cursor > 0:
                    raise self._beyond(cursor, 0)
                return []
            path = files[at][1]
            try:
                entries = self._rows(path, cursor, limit_entries, limit_bytes)
                if not entries:
                    following = files[at + 1][0] if at + 1 < len(files) else None
                    self._check_end(path, files[at][0], cursor, following)
                return entries
            except (sqlite3.DatabaseError, FileNotFoundError) as error:
                self._forget()
                if path.exists():
                    raise _unreadable(path, error, cursor + 1) from error
        raise self._restless()

    def _rows(self, path: Path, cursor: int, limit_entries: int, limit_bytes: int) -> list[StoredEntry]:
        """Whole entries of one file from ``cursor`` on, up to the first that is missing or damaged."""
        entries: list[StoredEntry] = []
        connection = self._connect(path)
        if not self._looked:
            self._opener = journal_sealing.EntryOpener(connection, path) if _is_sealed(connection) else None
            self._looked = True
        with contextlib.closing(connection.execute(_READ, (cursor, limit_entries))) as rows:
            try:
                for found, epoch, kind, now_us, crc, payload, events in rows:
                    problem: str | None = None
                    opened: tuple[bytes, bytes | None] | None = (payload, events)
                    if found != cursor + 1:
                        problem = f"entries {cursor + 1} to {found - 1} are missing"
                    elif crc != _checksum(found, epoch, kind, now_us, payload, events):
                        problem = f"entry {found} does not match its checksum"
                    elif self._opener is not None:
                        opened = self._opener.open(found, epoch, kind, now_us, payload, events)
                        if opened is None:
                            problem = f"entry {found} was altered, or is another one's"
                    if problem is not None or opened is None:
                        if entries:
                            break
                        raise JournalCorruptError(str(path), f"{problem}; {_ADVICE}", cursor + 1)
                    entries.append(StoredEntry(found, epoch, kind, now_us, *opened))
                    cursor = found
                    limit_bytes -= len(payload) + len(events or b"")
                    if limit_bytes <= 0:
                        break
            except sqlite3.DatabaseError:
                if not entries:
                    raise
        return entries

    def _check_end(self, path: Path, first: int, cursor: int, following: int | None) -> None:
        """There is nothing after ``cursor`` in this file: right at the end of the log, damage anywhere
        else.
        """
        if following is not None:
            problem = f"entries {cursor + 1} to {following - 1} are missing; {_ADVICE}"
            raise JournalCorruptError(str(path), problem, cursor + 1)
        connection = self._connect(path)
        newest = connection.execute("SELECT max(cursor) FROM entry").fetchone()[0]
        end = first - 1 if newest is None else int(newest)
        if cursor > end:
            raise self._beyond(cursor, end)
        sealed = _meta(connection)["sealed"]
        if sealed and journal_files(self.folder)[-1][1] == path:
            problem = f"the file that follows entry {sealed} is missing; {_ADVICE}"
            raise JournalCorruptError(str(path), problem, cursor + 1)

    def _next_readable(self, damaged: int) -> int | None:
        """The first cursor after ``damaged`` at which reading may go on; None: nothing more can be found."""
        with self._reading:
            files = journal_files(self.folder)
            at = max(i for i, (first, _) in enumerate(files) if first <= damaged)
            following = files[at + 1][0] if at + 1 < len(files) else None
            connection = self._connect(files[at][1])
            query = "SELECT min(cursor), max(cursor) FROM entry WHERE cursor > ?"
            newest = None
            with contextlib.suppress(sqlite3.DatabaseError):
                found, newest = connection.execute(query, (damaged,)).fetchone()
                if found is not None and connection.execute(_READ, (damaged, 1)).fetchone():
                    return int(found)
                if found is None:
                    return following
            for cursor in range(damaged + 1, following or (newest or damaged) + 1):
                with contextlib.suppress(sqlite3.DatabaseError):
                    if connection.execute("SELECT payload FROM entry WHERE cursor = ?", (cursor,)).fetchone():
                        return cursor
            return following

    def _connect(self, path: Path) -> sqlite3.Connection:
        """The one open connection, to the file that is at ``path`` now."""
        key = (path, path.stat().st_ino)
        if self._connection is None or self._open_file != key:
            self._forget()
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=_BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
            self._open_file = key
        return self._connection

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._open_file = self._opener = None
        self._looked = False

    def _beyond(self, cursor: int, end: int) -> JournalError:
        problem = f"nothing can follow entry {cursor}, the log ends at {end}: it lost its end or was replaced"
        return JournalError(str(self.folder), problem)

    def _restless(self) -> JournalError:
        return JournalError(
            str(self.folder), "files vanish while they are read; does another program clean up here?"
        )


class Journal(JournalReader):
    """A journal and the right to write it. One at a time; use ``Journal.open``."""

    def __init__(self, folder: Path, config: JournalConfig, lock: int) -> None:
        super().__init__(folder)
        self.config = config
        self.epoch = 0
        self._lock: int | None = lock
        self._writing = threading.RLock()
        self._writer: sqlite3.Connection | None = None
        self._sealer: EntrySealer | None = None  # of the newest file, if that is sealed
        self._newest = folder
        self._end = 0
        self._closed_bytes = 0

    @classmethod
    def open(
        cls,
        folder: str | Path,
        config: JournalConfig | None = None,
        *,
        epoch: int | None = None,
        start_after: int = 0,
    ) -> Self:
        """Take the journal over, making it if it is not there yet.

        Parameters
        ----------
        epoch : the owner's epoch, above every earlier one; None: one above the last
        start_after : the first cursor of a new journal is one above this, for one that replaces a lost
            journal

        Raises
        ------
        FencedError : another process owns the journal, or ``epoch`` is not a new one.
        JournalCorruptError : a file is missing or damaged, or acknowledged entries are gone from its end.
        JournalWriteError : the folder cannot be written.
        SealingError : it is encrypted, and the key for it is not at hand; nothing was changed.
        """
        folder = Path(folder)
        sealer_of(folder)
        folder.mkdir(parents=True, exist_ok=True)
        journal = cls(folder, config or JournalConfig(), lock_folder(folder))
        try:
            with journal._reporting():
                _tidy(folder)
                if not journal_files(folder):
                    create_file(folder, start_after + 1, epoch=0, cut=start_after)
                journal._check_row()
                journal._take_over(epoch)
                if journal._sealer is None and sealer_of(folder) is not None:
                    journal._leave_plain_file()
        except BaseException:
            journal.close()
            raise
        return journal

    @property
    def last_cursor(self) -> int:
        """Cursor of the newest durable entry; one below ``first_cursor`` while there is none."""
        return self._end

    def append(self, entries: Iterable[Entry], *, urgent: bool = False) -> range:
        """Write all ``entries`` or none, in one synced transaction. Returns their cursors.

        ``urgent`` entries (commands, marks) may go a tenth beyond ``max_bytes``, so that a full journal can
        be helped.

        Raises
        ------
        OverloadedError : the journal is full; nothing was written.
        FencedError : a newer owner has taken over; nothing was written.
        JournalWriteError : the commit failed, or it is not known whether it did; ``recover`` says.
        """
        with self._writing:
            if self._writer is None:
                self._recover_to(self._end)
            first = self._end + 1
            rows = []
            for cursor, (kind, now_us, payload, events) in enumerate(entries, first):
                if kind <= LOST:
                    raise ValueError(f"the kind of an entry is above {LOST}, got {kind}")
                rows.append((cursor, self.epoch, kind, now_us, payload, events))
            if not rows:
                return range(first, first)
            self.check_room(urgent=urgent)
            with self._reporting():
                if _size(self._newest) >= self.config.file_bytes and self._end >= _first_of(self._newest):
                    self._roll()
                stored = [_stored(self._sealer, *row) for row in rows]
                with self._transaction() as connection:
                    connection.executemany(_INSERT, stored)
            self._end += len(rows)
            return range(first, self._end + 1)

    def recover(self) -> int:
        """Open the log again after a failed append, and return the cursor at which it truly ends.

        An entry that turns out to be in the log is made durable first, so that it stays there. Can be called
        as often as it takes; ``read_after`` and ``append`` do so by themselves.

        Raises
        ------
        JournalWriteError : the disk still refuses.
        FencedError : a newer owner has taken over.
        """
        with self._writing:
            if self._lock is None:
                raise JournalWriteError(str(self.folder), "the journal is closed; open it again")
            self._drop_writer()
            known = self._end
            with self._reporting():
                _tidy(self.folder)
                _, path = journal_files(self.folder)[-1]
                self._writer, self._newest = _writable(path), path
                with self._transaction() as connection:  # still the owner?
                    sealer = _begin_sealing(connection, path)
                self._sealer = sealer
                self._settle()
                if self._end != known:
                    _, logged, moved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                    if logged != moved:
                        problem = "a reader holds on to the file; close it and try again"
                        raise JournalWriteError(str(path), problem)
            return self._end

    def read_after(
        self, cursor: int, limit_entries: int = 1000, limit_bytes: int = 64 << 20
    ) -> list[StoredEntry]:
        """As ``JournalReader.read_after``; after a failed append, once it is settled what the log holds."""
        if self._writer is None and self._lock is not None:
            self.recover()
        return super().read_after(cursor, limit_entries, limit_bytes)

    def check_room(self, *, urgent: bool = False) -> None:
        """Refuse early what ``append`` would refuse: OverloadedError when the journal is full."""
        bound = self.config.max_bytes * (_URGENT_SHARE if urgent else 1.0)
        size = self._closed_bytes + _size(self._newest)
        if size >= bound:
            what = f"journal {self.folder} holds {size >> 20} MB, its bound; the recorder has to catch up"
            raise OverloadedError(what, _RETRY_AFTER_S)

    def cut(self, up_to_cursor: int) -> None:
        """Delete the files that hold nothing after ``up_to_cursor``. The newest file always stays."""
        with self._writing:
            files = journal_files(self.folder)
            passed = [
                path for (_, path), (first, _) in itertools.pairwise(files) if first - 1 <= up_to_cursor
            ]
            if not passed:
                return
            if self._writer is None:
                self._recover_to(self._end)
            with self._reporting():
                with self._transaction() as connection:
                    _set_meta(connection, cut=files[len(passed)][0] - 1)
                for path in passed:
                    _remove(path)
                sync_folder(self.folder)
                self._closed_bytes = sum(_size(path) for _, path in journal_files(self.folder)[:-1])

    def close(self) -> None:
        """Let go of the files and of the lock."""
        super().close()
        with self._writing:
            self._drop_writer()
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _check_row(self) -> None:
        """Every file that should be there is there, and follows the one before."""
        files = journal_files(self.folder)
        for i, (first, path) in enumerate(files):
            write_ahead_log.check(path, _PAGE_BYTES)
            with contextlib.closing(_writable(path)) as connection:
                version = _version(connection)
                if version not in (FORMAT_VERSION, SEALED_VERSION):
                    problem = f"format version {version}, this Twinfold reads up to version {SEALED_VERSION}"
                    raise JournalError(str(path), problem)
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # durable, before anyone acts on it
                newest = connection.execute("SELECT max(cursor) FROM entry").fetchone()[0]
                end = first - 1 if newest is None else int(newest)
                meta = _meta(connection)
                if i + 1 < len(files):
                    following = files[i + 1][0]
                    if end + 1 != following:
                        problem = f"entries {end + 1} to {following - 1} are missing; {_ADVICE}"
                        raise JournalCorruptError(str(path), problem, end + 1)
                    if not meta["sealed"]:  # the owner died between making the next file and closing this one
                        _set_meta(connection, sealed=end)
                elif meta["sealed"]:
                    problem = f"the file that follows entry {end} is missing; {_ADVICE}"
                    raise JournalCorruptError(str(path), problem, end + 1)
                elif files[0][0] > meta["cut"] + 1:
                    problem = f"entries {meta['cut'] + 1} to {files[0][0] - 1} are missing; {_ADVICE}"
                    raise JournalCorruptError(str(self.folder), problem, meta["cut"] + 1)

    def _take_over(self, epoch: int | None) -> None:
        """Write the new epoch into the newest file, under its write lock, so that an older owner meets it
        there.
        """
        while True:
            _, path = journal_files(self.folder)[-1]
            connection = _writable(path)
            self._writer, self._newest = connection, path
            connection.execute("BEGIN IMMEDIATE")
            last = _meta(connection)["epoch"]
            if epoch is not None and epoch <= last:
                connection.execute("ROLLBACK")
                raise FencedError(
                    str(self.folder), f"epoch {epoch} is not above {last}, the epoch of its last owner"
                )
            self.epoch = last + 1 if epoch is None else epoch
            _set_meta(connection, epoch=self.epoch)
            sealer = _begin_sealing(connection, path)
            connection.execute("COMMIT")
            self._sealer = sealer
            if journal_files(self.folder)[-1][1] == path:
                break
            self._drop_writer()  # the older owner began a file meanwhile: that one, too
        self._settle()

    def _settle(self) -> None:
        """Learn where the log ends and how large it is."""
        assert self._writer is not None
        newest = self._writer.execute("SELECT max(cursor) FROM entry").fetchone()[0]
        self._end = _first_of(self._newest) - 1 if newest is None else int(newest)
        self._closed_bytes = sum(_size(path) for _, path in journal_files(self.folder)[:-1])

    def _roll(self) -> None:
        """Begin the next file. It is on disk before this one says that it is there."""
        old = self._writer
        assert old is not None
        with self._transaction():
            path = create_file(self.folder, self._end + 1, epoch=self.epoch, cut=_meta(old)["cut"])
            _set_meta(old, sealed=self._end)
        self._writer = _writable(path)
        self._closed_bytes += _size(self._newest)
        self._newest = path
        with contextlib.suppress(sqlite3.Error):
            old.execute("PRAGMA wal_checkpoint(PASSIVE)")
        old.close()
        with self._transaction() as connection:
            sealer = _begin_sealing(connection, path)
        self._sealer = sealer

    def _leave_plain_file(self) -> None:
        """Write no more into a file from before the folder was encrypted; one without entries gives way to another."""
        if self._end >= _first_of(self._newest):
            self._roll()
            return
        assert self._writer is not None
        cut = _meta(self._writer)["cut"]
        self._drop_writer()
        path = create_file(self.folder, self._end + 1, epoch=self.epoch, cut=cut)
        self._writer, self._newest = _writable(path), path
        with self._transaction() as connection:
            sealer = _begin_sealing(connection, path)
        self._sealer = sealer

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._writer
        assert connection is not None
        connection.execute("BEGIN IMMEDIATE")
        try:
            epoch = _meta(connection)["epoch"]
            if epoch != self.epoch:
                problem = f"owner {self.epoch} has been replaced by owner {epoch}; stop this process"
                raise FencedError(str(self.folder), problem)
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        """Any failure inside leaves the journal without a writer, and is told as a ``JournalError``."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._drop_writer()
            if _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise _unreadable(self._newest, error, self._end + 1) from error
            kind = DiskFullError if _disk_full(error) else JournalWriteError
            raise kind(str(self.folder), _reason(error)) from error
        except BaseException:
            self._drop_writer()
            raise

    def _recover_to(self, expected: int) -> None:
        """Recover, and tell a caller who does not know that the append that failed is in the log after
        all.
        """
        if self.recover() != expected:
            problem = (
                f"the append that failed did reach the log, which ends at {self._end}; read it, then go on"
            )
            raise JournalWriteError(str(self.folder), problem)

    def _drop_writer(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(sqlite3.Error):
                self._writer.close()
        self._writer = self._sealer = None


def journal_files(folder: Path) -> list[tuple[int, Path]]:
    """The files of a journal with the cursor of their first entry, oldest first."""
    names = [name for name in os.listdir(folder) if name.endswith(JOURNAL_SUFFIX)] if folder.is_dir() else []
    return [(_first_of(folder / name), folder / name) for name in sorted(names)]


def lock_folder(folder: Path) -> int:
    """The lock of a journal's owner, as a file descriptor: closing it gives the lock back."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 32, 0).decode() or "unknown"
        os.close(descriptor)
        raise FencedError(str(folder), f"in use by process {owner}; stop it first") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def create_file(
    folder: Path, first: int, *, epoch: int, cut: int, sealed: int = 0, entries: Sequence[StoredEntry] = ()
) -> Path:
    """Make one file of a journal. It appears under its name when it is whole and on disk, and replaces one
    there.
    """
    path = folder / f"{first:020d}{JOURNAL_SUFFIX}"
    unfinished = path.with_suffix(_NEW)
    is_sealed = sealer_of(folder) is not None
    _remove(unfinished)
    with contextlib.closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA user_version={SEALED_VERSION if is_sealed else FORMAT_VERSION}")
        connection.executescript(_SCHEMA + (journal_sealing.SCHEMA if is_sealed else ""))
        connection.execute("BEGIN")
        _set_meta(connection, epoch=epoch, cut=cut, sealed=sealed)
        if entries:
            sealer = _begin_sealing(connection, path)
            connection.executemany(_INSERT, (_stored(sealer, *entry) for entry in entries))
        connection.execute("COMMIT")
    descriptor = os.open(unfinished, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    for side in _SIDE_FILES:  # of a file that is being replaced: must never meet the new one
        Path(f"{path}{side}").unlink(missing_ok=True)
    os.replace(unfinished, path)
    sync_folder(folder)
    return path


def sync_folder(folder: Path) -> None:
    """Make names that were added, replaced or removed durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _writable(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_BYTES // _PAGE_BYTES}")
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _is_sealed(connection: sqlite3.Connection) -> bool:
    return _version(connection) == SEALED_VERSION


def _begin_sealing(connection: sqlite3.Connection, path: Path) -> EntrySealer | None:
    """What seals the entries that this owner is about to write into a file; None: the file is not sealed."""
    if not _is_sealed(connection):
        return None
    sealer = sealer_of(path)
    if sealer is None:
        raise SealBrokenError(str(path), "it is encrypted, and there is no keyset above it")
    return journal_sealing.begin(connection, path, sealer)


def _stored(
    sealer: EntrySealer | None,
    cursor: int,
    epoch: int,
    kind: int,
    now_us: int,
    payload: Blob,
    events: Blob | None,
) -> tuple[int, int, int, int, int, Blob, Blob | None]:
    """An entry as a row of the table."""
    if sealer is not None:
        payload, events = journal_sealing.seal(sealer, cursor, epoch, kind, now_us, payload, events)
    return (
        cursor,
        epoch,
        kind,
        now_us,
        _checksum(cursor, epoch, kind, now_us, payload, events),
        payload,
        events,
    )


def _meta(connection: sqlite3.Connection) -> dict[str, int]:
    return defaultdict(int, connection.execute("SELECT key, value FROM meta").fetchall())


def _set_meta(connection: sqlite3.Connection, **values: int) -> None:
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())


def _checksum(cursor: int, epoch: int, kind: int, now_us: int, payload: Blob, events: Blob | None) -> int:
    head = _HEAD.pack(cursor, epoch, kind, now_us, len(payload), -1 if events is None else len(events))
    return zlib.crc32(events or b"", zlib.crc32(payload, zlib.crc32(head)))


def _tidy(folder: Path) -> None:
    """Remove what an owner that died left behind: unfinished files, and side files without their file."""
    for name in os.listdir(folder):
        path = folder / name
        base = name.removesuffix("-wal").removesuffix("-shm")
        if _NEW in name or (base != name and not (folder / base).exists()):
            path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    for name in (str(path), *(f"{path}{side}" for side in _SIDE_FILES)):
        Path(name).unlink(missing_ok=True)


def _first_of(path: Path) -> int:
    return int(path.name.removesuffix(JOURNAL_SUFFIX))


def _size(path: Path) -> int:
    size = 0
    for name in (str(path), f"{path}-wal"):
        with contextlib.suppress(FileNotFoundError):
            size += os.stat(name).st_size
    return size


def _code(error: Exception) -> int | None:
    extended: int | None = getattr(error, "sqlite_errorcode", None)
    return None if extended is None else extended & 0xFF


def _unreadable(path: Path, error: Exception, cursor: int) -> JournalError:
    if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return JournalError(str(path), f"is locked by another program ({error}); try again")
    problem = f"entry {cursor} cannot be read ({error}); {_ADVICE}"
    return JournalCorruptError(str(path), problem, cursor)


def _disk_full(error: Exception) -> bool:
    return _code(error) == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in (
        errno.ENOSPC,
        errno.EDQUOT,
    )


def _reason(error: Exception) -> str:
    if _disk_full(error):
        return "the disk is full; free space on it, writing then resumes"
    if _code(error) == sqlite3.SQLITE_BUSY:
        return f"another program holds the file locked ({error}); stop it"
    return f"writing failed ({error}); check the disk and the rights on the folder"


def _merged(damage: list[Damage]) -> list[Damage]:
    """Neighbouring damage as one."""
    merged: list[Damage] = []
    for item in damage:
        if merged and merged[-1].last + 1 == item.first:
            merged[-1] = Damage(merged[-1].first, item.last, merged[-1].problem)
        else:
            merged.append(item)
    return merged
