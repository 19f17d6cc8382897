"""Follows the journals of all actors into history, each entry exactly once. It answers no queries.

What was read is buffered until there is enough of it or it is old enough, then written table by table. Every
commit carries the cursors it brings the table to, so a table knows by itself what it has. ``inputs`` is
committed last of all and is the recorder's place: after a crash between two commits, reading starts there,
and each table takes only what it does not have yet. A failure while writing is treated just so.

A journal that cannot be read, or not understood, is put aside and tried again later; the others go on.
"""

import fcntl
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training import decoding, parquet_files
from training.decoding import Names, Rows
from training.errors import HistoryBehindError, HistoryConflictError
from training.lookup import StoredReadings
from training.tables import FIXED, INPUTS, READINGS, File, Table, readings_schema, sql_name
from twins import typefiles
from twins.clock import SECOND_US, Clock, SteadyClock
from twins.errors import JournalGapError
from twins.journal import JournalReader, StoredEntry

_ENTRIES_AT_ONCE: Final = 256
_TRY_AGAIN_S: Final = (1.0, 60.0)  # a journal put aside: after the first failure, and after many


class Source(Protocol):
    """The journal of one actor, wherever it is."""

    @property
    def actor(self) -> str: ...

    def read_after(self, cursor: int, limit: int) -> Sequence[StoredEntry]:
        """Entries that follow ``cursor``, oldest first; JournalGapError if they are gone."""
        ...


class JournalSource:
    """A journal in a folder of this machine."""

    def __init__(self, actor: str, folder: str | Path) -> None:
        self.actor = actor
        self._reader = JournalReader(folder)

    def read_after(self, cursor: int, limit: int) -> list[StoredEntry]:
        return self._reader.read_after(cursor, limit)


def journals_in(folder: Path) -> list[JournalSource]:
    """The journals of all hosts that have their folder in ``folder``, whether they are up or not."""
    return [JournalSource(path.parent.name, path) for path in sorted(folder.glob("*/journal"))]


@dataclass(frozen=True, slots=True)
class RecorderConfig:
    """When what was read is committed: after ``commit_every_s``, or at ``commit_rows``, whichever comes
    first. Queries see what is not committed all the same; fewer files make them quick.
    """

    commit_every_s: float = 60.0
    commit_rows: int = 4_000_000


@dataclass(slots=True)
class _Aside:
    """A journal that could not be read, until it is tried again."""

    error: Exception
    wait_s: float
    again_us: int
    broken: bool  # it was read, and not understood


class Recorder:
    """The one writer of history.

    Parameters
    ----------
    folder : of the history
    sources : journals to follow; more can come later
    clock : tells how long rows have waited, for ``commit_every_s``
    announce : told, before each commit, up to which cursor history will hold each actor's entries, where that is news

    Raises
    ------
    HistoryConflictError : another recorder writes this history.
    """

    def __init__(
        self,
        folder: str | Path,
        sources: Sequence[Source] = (),
        config: RecorderConfig | None = None,
        clock: Clock | None = None,
        announce: Callable[[Mapping[str, int]], None] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.config = config or RecorderConfig()
        self._clock = clock or SteadyClock()
        self._announce = announce or _to_nobody
        self._lock: int | None = _locked(self.folder)
        self._sources: dict[str, Source] = {}
        self._tables: dict[str, Table] = {}
        self._durable: dict[str, int] = {}
        self._aside: dict[str, _Aside] = {}
        self._oldest_us: int | None = None  # when the first pending row was read
        self._whole = False  # what was read is there once, as far as the positions say
        try:
            self._start_over()
            for source in sources:
                self.add_source(source)
        except BaseException:
            self.close()
            raise

    @property
    def cursors(self) -> dict[str, int]:
        """How far each actor's journal is in history: it may be cut there."""
        return dict(self._durable)

    @property
    def pending(self) -> int:
        """Rows that were read and are not in history yet."""
        return len(self._rows)

    def add_source(self, source: Source) -> None:
        """Follow another journal, from where history left it. If that fails, the next step tries again."""
        self._sources[source.actor] = source
        try:
            self._load(source.actor)
        except BaseException:
            self._whole = False
            raise

    def follows(self, actor: str) -> bool:
        """Whether the journal of an actor is followed, also one that cannot be read at present."""
        return actor in self._sources

    def step(self) -> int:
        """Read what is new in every journal, commit if it is time. Returns the number of entries read.

        Raises
        ------
        HistoryBehindError : a journal was cut beyond what history holds.
        FleetError, OSError : a journal cannot be read, or history not be written. The other journals were
            read all the same; nothing is lost; call again.
        """
        if not self._whole:
            self._start_over()
        read = 0
        for actor in list(self._sources):
            read += self._follow(actor)
            if not self._whole:
                break
        if self._whole and self._due():
            self.flush()
        for aside in self._aside.values():
            raise aside.error.with_traceback(None)
        return read

    def flush(self) -> None:
        """Commit everything that was read. After a failure, whichever, reading begins where history ends."""
        if not self._whole:
            self._start_over()
        if self._position == self._durable:
            return
        self._announce({a: at for a, at in self._position.items() if at > self._durable[a]})
        try:
            self._write()
        except BaseException:
            self._whole = False
            raise
        self._rows = Rows()
        self._durable = dict(self._position)
        self._oldest_us = None

    def close(self) -> None:
        """Give the history free for another recorder. What was not committed is still in the journals."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _follow(self, actor: str) -> int:
        """Read on in one journal; whatever fails there puts it aside for a while."""
        aside = self._aside.get(actor)
        if aside is not None:
            if self._clock.now_us() < aside.again_us:
                return 0
            if aside.broken:
                self.flush()  # starting over once more must not cost the others what was read of them
        try:
            read = self._read(actor)
        except Exception as error:
            wait_s = _TRY_AGAIN_S[0] if aside is None else min(2 * aside.wait_s, _TRY_AGAIN_S[1])
            again_us = self._clock.now_us() + round(wait_s * SECOND_US)
            self._aside[actor] = _Aside(error, wait_s, again_us, broken=not self._whole)
            return 0
        self._aside.pop(actor, None)
        return read

    def _read(self, actor: str) -> int:
        position = self._position[actor]
        try:
            found = self._sources[actor].read_after(position, _ENTRIES_AT_ONCE)
        except JournalGapError as error:
            problem = f"the journal of {actor} was cut after entry {position}, which history has not passed"
            raise HistoryBehindError(str(self.folder), problem) from error
        try:
            for entry in found:
                decoding.take(entry, actor, self._names, self._rows, self._known[actor])
                self._position[actor] = entry.cursor
        except BaseException:
            self._whole = False  # a part of the entry may be in the rows
            raise
        if found and self._oldest_us is None:
            self._oldest_us = self._clock.now_us()
        return len(found)

    def _due(self) -> bool:
        if self._oldest_us is None:
            return False
        waited_us = self._clock.now_us() - self._oldest_us
        return (
            len(self._rows) >= self.config.commit_rows or waited_us >= self.config.commit_every_s * SECOND_US
        )

    def _write(self) -> None:
        """Every table in turn, ``inputs`` last."""
        fixed = self._rows.fixed()
        for name in ("types", "devices"):
            self._write_table(name, fixed.get(name))
        for name, lines in sorted(self._rows.readings.items()):
            device_type = self._names.newest(name)
            assert device_type is not None
            table = self._table(READINGS + sql_name(name), readings_schema(device_type))
            already = StoredReadings(partial(_files, table), device_type)
            rows = decoding.sorted_readings(lines, device_type, self._names, already)
            self._write_table(table.name, rows)
        for name in ("lines", "events", "prognoses"):
            self._write_table(name, fixed.get(name))
        self._write_table("inputs", fixed.get("inputs", INPUTS.empty_table()))

    def _write_table(self, name: str, rows: pa.Table | None) -> None:
        if rows is None:
            return
        table = self._table(name, FIXED.get(name))
        before = {actor: self._known[actor].get(name, 0) for actor in self._position}
        after = {actor: cursor for actor, cursor in self._position.items() if cursor > before[actor]}
        if not after:
            return
        adds = [table.write(rows)] if rows.num_rows else []
        table.commit(adds, before=before, after=after)
        for actor, cursor in after.items():
            self._known[actor][name] = cursor

    def _start_over(self) -> None:
        """Forget what was read; go on from what the tables have. If that fails, it is tried again."""
        self._whole = False
        self._names = Names()
        self._rows = Rows()
        self._position: dict[str, int] = {}
        self._known: dict[str, dict[str, int]] = {}
        self._oldest_us = None
        self._tables = {}
        for name, schema in FIXED.items():
            self._table(name, schema)
        for path in sorted(self.folder.glob(f"{READINGS}*")):
            self._table(path.name, None)
        for actor in self._sources:
            self._load(actor)
        self._whole = True

    def _load(self, actor: str) -> None:
        load_names(self._tables["types"], self._tables["devices"], self._names, actor)
        known = {name: table.cursor(actor) for name, table in self._tables.items()}
        self._known[actor] = known
        self._position[actor] = self._durable[actor] = known["inputs"]

    def _table(self, name: str, schema: pa.Schema | None) -> Table:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = Table(self.folder / name)
            if schema is not None:
                table.create(schema)
        return table


def load_names(types: Table, devices: Table, names: Names, actor: str) -> None:
    """Teach ``names`` what history knows of one actor's types and devices."""
    for row in _rows_of(types, actor, ["document", "cursor"]).sort_by("cursor").to_pylist():
        names.install(actor, row["cursor"], typefiles.from_document(json.loads(row["document"])))
    found = _rows_of(devices, actor, ["device_type", "row", "device_id", "cursor"]).sort_by("cursor")
    for name in found["device_type"].unique().to_pylist():
        mine = found.filter(pc.equal(found["device_type"], name))
        rows = mine["row"].to_numpy()
        first = np.unique(rows, return_index=True)[1]  # registered first, changed later
        ids = mine["device_id"].combine_chunks().take(pa.array(first))
        names.add(actor, name, rows[first].astype(np.int32), ids)


def _to_nobody(_: Mapping[str, int]) -> None:
    pass


def _files(table: Table) -> tuple[File, ...]:
    return table.version(()).files


def _rows_of(table: Table, actor: str, columns: list[str]) -> pa.Table:
    version = table.version(())
    schema = pa.schema([version.schema.field(name) for name in [*columns, "actor"]])
    parts = [parquet_files.read(file.path, schema.names).cast(schema) for file in version.files]
    rows = pa.concat_tables(parts) if parts else schema.empty_table()
    return rows.filter(pc.equal(rows["actor"], actor))


def _locked(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "recorder.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise HistoryConflictError(str(folder), "another recorder writes it; stop that one first") from None
    return descriptor
