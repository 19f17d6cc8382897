"""Twins as of a past moment: the newest kept snapshot before it, then what came after, through the same shards.

Inputs are taken again in the order and with the ``now`` they had, so the state is, bit for bit, the one that the live
twin had once the last entry up to that moment was in. What a readings table does not tell of an entry (repeats, lines
out of order, clocks ahead) stands whole in the table ``lines``. Only the asked-for devices are rebuilt; they
share a small shard, one of each actor and type, since no device's state depends on another's but through commands.
"""

import heapq
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training import parquet_files
from training.errors import HistoryBehindError, MomentAheadError, MomentNotKeptError
from training.keeping import KeptSnapshots
from training.parquet_files import SqlFiles
from training.rebuilding import Entry, Rebuilding, Rows, followed, of_journal
from training.recorder import Source
from training.tables import INPUTS, LINES, READINGS, File, Table, Version, channels_of, sql_name
from twins import entries, views
from twins.devices import DeviceType
from twins.entries import EntryKind
from twins.errors import DeviceNotFoundError, JournalGapError
from twins.packing import PackingError
from twins.sealing import SealBrokenError
from twins.shard import Shard

_ENTRIES_AT_ONCE: Final = 256
_ROWS_AT_ONCE: Final = 4_000_000
_DICTS_AT_ONCE: Final = 1000
_ATTEMPTS: Final = 5
_ASKED_OF: Final = re.compile(r"\b(?:actor|cursor|recorded_at|ingest_us|device_id|device_type)\b")


@dataclass(frozen=True, slots=True, eq=False)
class PastShard:
    """Some twins of one type and actor as they were.

    Attributes
    ----------
    actor : whose journal they came from
    cursor : the last entry that is included
    shard : the twins
    from_snapshot_us : shard time of the snapshot that this began with; None: from the first entry
    """

    actor: str
    cursor: int
    shard: Shard
    from_snapshot_us: int | None


class Past:
    """Rebuilds twins of a history.

    Parameters
    ----------
    folder : of the history
    sources : the journals, for what is not recorded yet
    """

    def __init__(self, folder: Path, sources: Sequence[Source] = ()) -> None:
        self._folder = folder
        self._sources = {source.actor: source for source in sources}
        self._kept = KeptSnapshots(folder)

    def twin(self, device_id: str, at_us: int) -> tuple[dict[str, Any], DeviceType]:
        """Everything that was known of one device at ``at_us``, in the form of ``views.twin``, and its type as it was then.

        Raises
        ------
        DeviceNotFoundError : there was no such device then.
        MomentNotKeptError, MomentAheadError : what this needs is no longer there, or not yet.
        """
        for device_type, actor in self._places_of(device_id):
            shard = self._rebuilt(actor, device_type, at_us, pa.array([device_id], pa.string())).shard
            if shard is not None and len(shard):
                return views.twin(shard, 0), shard.device_type
        raise DeviceNotFoundError(device_id)

    def shards(self, device_type: str, at_us: int, ids: Sequence[str] | None = None) -> list[PastShard]:
        """The twins of a type as of ``at_us``, those in ``ids`` or all, by actor. New ones are left out.

        Raises
        ------
        MomentNotKeptError : readings, inputs or snapshots that this needs are no longer there.
        MomentAheadError : an actor's journal is not among ``sources``, and history ends before ``at_us``.
        """
        return [
            PastShard(work.actor, work.cursor, work.shard, work.from_snapshot_us)
            for work in self.begun(device_type, at_us, ids)
            if work.shard is not None and len(work.shard)
        ]

    def begun(self, device_type: str, at_us: int, ids: Sequence[str] | None = None) -> list[Rebuilding]:
        """The same to go on with, of every actor: of one that had no such twins as of ``at_us``, an empty one.

        Raises
        ------
        MomentNotKeptError, MomentAheadError : as ``shards`` does.
        """
        wanted = None if ids is None else pa.array(sorted(set(ids)), pa.string())
        actors = sorted({*self._sources, *self._kept.actors(), *self._recorded_actors()})
        return [self._rebuilt(actor, device_type, at_us, wanted) for actor in actors]

    def onward(self, work: Rebuilding, until_us: int) -> Iterator[Entry]:
        """What comes after ``work``'s last entry up to ``until_us``; each is to be taken before the next is asked for.

        Raises
        ------
        MomentNotKeptError, MomentAheadError : as ``shards`` does.
        """
        for _ in range(_ATTEMPTS):
            try:
                yield from self._entries(work, until_us)
            except JournalGapError:  # the journal was cut meanwhile: history has it by now
                continue
            if self._kept.gone().get(work.actor, 0) > work.began:  # retention took readings meanwhile
                raise MomentNotKeptError(work.actor, until_us, self.kept_since(work.actor), "retention")
            return
        raise self._cut_too_fast(work.actor)

    def readings(self, device_type: str, start_us: int, end_us: int, ids: Sequence[str]) -> int:
        """How many lines history holds of some devices that came in between; the newest may not be there yet."""
        table = self._table(READINGS + sql_name(device_type))
        if table is None or not ids:
            return 0
        wanted = pa.array(sorted(set(ids)), pa.string())
        where = "ingest_us > $start AND ingest_us <= $end AND device_id IN (SELECT id FROM wanted)"
        said, schema = {"start": start_us, "end": end_us}, pa.schema([("ingest_us", pa.int64())])
        files = _of(table.version(()).files, wanted)
        return len(_select(files, schema.names, where, said, schema, wanted))

    def kept_since(self, actor: str) -> int | None:
        """The earliest shard time of an actor that can be rebuilt, once retention took readings; None: none can yet."""
        gone = self._kept.gone().get(actor, 0)
        return next((kept.now_us for kept in self._kept.of(actor) if kept.cursor >= gone), None)

    # -- one actor --------------------------------------------------------------------------------------------------

    def _rebuilt(self, actor: str, device_type: str, at_us: int, wanted: pa.Array | None) -> Rebuilding:
        for _ in range(_ATTEMPTS):
            work = self._begun(actor, device_type, at_us, wanted)
            try:
                for entry in self._entries(work, at_us):
                    work.take(entry)
            except JournalGapError:  # the journal was cut meanwhile: history has it by now
                continue
            if self._kept.gone().get(actor, 0) > work.began:  # retention took readings meanwhile
                continue
            return work
        raise self._cut_too_fast(actor)

    def _cut_too_fast(self, actor: str) -> HistoryBehindError:
        return HistoryBehindError(
            str(self._folder), f"the journal of {actor} is cut faster than it can be read"
        )

    def _begun(self, actor: str, device_type: str, at_us: int, wanted: pa.Array | None) -> Rebuilding:
        """The newest readable snapshot before the moment, or nothing at all, as it was in the beginning."""
        gone = self._kept.gone().get(actor, 0)
        for kept in reversed(self._kept.of(actor)):
            if kept.now_us > at_us or kept.cursor < gone:
                continue
            try:
                meta, arrays = kept.read()
            except (
                OSError,
                PackingError,
                SealBrokenError,
            ):  # the one before it serves as well, only more slowly
                continue
            return Rebuilding.from_snapshot(actor, device_type, wanted, kept.cursor, meta, arrays)
        if gone:
            raise MomentNotKeptError(actor, at_us, self.kept_since(actor), "retention")
        return Rebuilding(actor, device_type, wanted)

    def _entries(self, work: Rebuilding, at_us: int) -> Iterator[Entry]:
        """What came after the work's beginning up to ``at_us``: from history as far as that goes, then from the journal."""
        recorded = work.cursor
        inputs = self._table("inputs")
        if inputs is not None:
            version = inputs.version([work.actor])
            recorded = max(recorded, version.cursors[work.actor])
            yield from self._recorded(work, version, recorded, at_us)
        source = self._sources.get(work.actor)
        if source is None:
            if not self._reaches(work, at_us):
                raise MomentAheadError(work.actor, at_us)
            return
        while page := source.read_after(recorded, _ENTRIES_AT_ONCE):
            for stored in page:
                if stored.now_us > at_us:
                    return
                yield of_journal(stored)
            recorded = page[-1].cursor

    def _reaches(self, work: Rebuilding, at_us: int) -> bool:
        """Whether history tells of anything at the moment or later: then it tells of everything before. Time never goes
        back in a journal."""
        for name, column in (("inputs", "recorded_at"), (READINGS + sql_name(work.device_type), "ingest_us")):
            table = self._table(name)
            if table is None:
                continue
            version = table.version(())
            schema = pa.schema([version.schema.field("cursor")])
            time = f"epoch_us({column})" if column == "recorded_at" else column
            files = [file for file in version.files if file.greatest.get(column, at_us) >= at_us]
            said = {"actor": work.actor, "at": at_us}
            if _select(files, ["cursor"], f"actor = $actor AND {time} >= $at", said, schema).num_rows:
                return True
        return False

    def _recorded(self, work: Rebuilding, inputs: Version, upto: int, at_us: int) -> Iterator[Entry]:
        """What history holds of the entries after the work's cursor up to ``upto``, in their order."""
        said = {"actor": work.actor, "after": work.cursor, "upto": upto, "at": at_us}
        where = "actor = $actor AND cursor > $after AND cursor <= $upto AND epoch_us(recorded_at) <= $at"
        others = _by_cursor(_select(inputs.files, INPUTS.names, where, said, INPUTS))
        whole: Iterator[Entry] = iter(())
        table = self._table("lines")
        if table is not None:
            mine = where + " AND device_type = $type"
            files = table.version(()).files
            rows = _select(files, LINES.names, mine, {**said, "type": work.device_type}, LINES)
            whole = map(_of_lines, _by_cursor(rows))
        readings = _told_together(self._recorded_readings(work, upto, at_us), whole)
        yield from heapq.merge(readings, map(_of_input, others), key=lambda entry: entry.cursor)

    def _recorded_readings(self, work: Rebuilding, upto: int, at_us: int) -> Iterator[Entry]:
        """The readings entries of a table, as far as it tells them, some millions of rows at a time."""
        table = self._table(READINGS + sql_name(work.device_type))
        if table is None:
            return
        version = table.version([work.actor])
        channels = channels_of(version.schema)
        files = [file for file in version.files if (file.greatest.get("cursor") or upto) > work.cursor]
        said = {"actor": work.actor, "upto": upto, "at": at_us}
        where = "actor = $actor AND cursor > $after AND cursor <= $upto AND ingest_us <= $at"
        if work.wanted is not None:
            where += " AND device_id IN (SELECT id FROM wanted)"
            files = _of(files, work.wanted)
        names = ["device_id", "event_time", *channels, "bad", "bad_values", "ingest_us", "cursor"]
        schema = pa.schema([version.schema.field(name) for name in names])
        after = work.cursor
        for last in _windows(files, where, {**said, "after": after}, work.wanted):
            rows = _select(files, names, where, {**said, "after": after, "upto": last}, schema, work.wanted)
            after = last
            yield from _entries_of(rows, channels)

    # -- what there is ----------------------------------------------------------------------------------------------

    def _places_of(self, device_id: str) -> list[tuple[str, str]]:
        """Type and actor under which a device was ever registered, as history or else the journals tell."""
        table = self._table("devices")
        if table is not None:
            schema = pa.schema([("device_type", pa.string()), ("actor", pa.string())])
            files = table.version(()).files
            rows = _select(files, schema.names, "device_id = $id", {"id": device_id}, schema, distinct=True)
            if rows.num_rows:
                return sorted((row["device_type"], row["actor"]) for row in rows.to_pylist())
        found: set[tuple[str, str]] = set()
        for actor, source in self._sources.items():
            recorded = (
                0 if (inputs := self._table("inputs")) is None else inputs.version([actor]).cursors[actor]
            )
            for stored in followed(source, recorded):
                if stored.kind == EntryKind.COMMAND:
                    name, body = entries.decode_command(stored.payload)
                    if name == "RegisterDevices" and any(each["id"] == device_id for each in body["devices"]):
                        found.add((body["device_type"], actor))
        return sorted(found)

    def _recorded_actors(self) -> list[str]:
        table = self._table("inputs")
        if table is None:
            return []
        schema = pa.schema([("actor", pa.string())])
        rows = _select(table.version(()).files, schema.names, "true", {}, schema, distinct=True)
        actors: list[str] = rows["actor"].to_pylist()
        return actors

    def _table(self, name: str) -> Table | None:
        table = Table(self._folder / name)
        return table if table.exists else None


# -- entries out of rows ---------------------------------------------------------------------------------------------


def _by_cursor(rows: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows as dicts in the order of their cursors, with ``now_us`` for ``recorded_at``; made some at a time."""
    rows = rows.append_column("now_us", rows["recorded_at"].cast(pa.int64())).drop_columns(["recorded_at"])
    for batch in rows.sort_by("cursor").to_batches(_DICTS_AT_ONCE):
        yield from batch.to_pylist()


def _of_input(row: Mapping[str, Any]) -> Entry:
    command = (row["command"], json.loads(row["body"])) if row["kind"] == "command" else None
    return Entry(row["cursor"], row["now_us"], row["kind"], command, row["payload"])


def _of_lines(row: Mapping[str, Any]) -> Entry:
    return Entry(row["cursor"], row["now_us"], "readings", payload=row["payload"])


def _entries_of(rows: pa.Table, channels: Sequence[str]) -> Iterator[Entry]:
    """A readings entry for each cursor among ``rows``, the lines of each device by event time."""
    cursor = rows["cursor"].to_numpy()
    event_us = rows["event_time"].cast(pa.int64()).to_numpy()
    order = np.lexsort((event_us, cursor))
    values, present = _cells(rows, channels)
    ids = rows["device_id"].combine_chunks().dictionary_encode()
    ingest_us = rows["ingest_us"].to_numpy()
    starts = np.flatnonzero(np.diff(cursor[order], prepend=-1))
    for lines in np.split(order, starts[1:]) if len(order) else []:
        told = Rows(ids.take(pa.array(lines)), event_us[lines], values[lines], present[lines])
        yield Entry(int(cursor[lines[0]]), int(ingest_us[lines[0]]), "readings", rows=told)


def _cells(rows: pa.Table, channels: Sequence[str]) -> tuple[NDArray[Any], NDArray[np.uint64]]:
    """Values (n, channels) of a readings table with the BAD ones back in their places, and masks of what was sent."""
    bad = rows["bad"].to_numpy().view(np.uint64)
    columns = [rows[name].combine_chunks() for name in channels]
    values = np.stack([column.to_numpy(zero_copy_only=False) for column in columns], axis=1)
    present = bad.copy()
    for at, column in enumerate(columns):
        present |= np.where(
            column.is_valid().to_numpy(zero_copy_only=False), np.uint64(1) << np.uint64(at), np.uint64(0)
        )
    if bad.any():
        at = (bad[:, None] >> np.arange(len(channels), dtype=np.uint64)) & np.uint64(1) != 0
        values[at] = rows["bad_values"].combine_chunks().drop_null().flatten().to_numpy(zero_copy_only=False)
    return values, present


def _told_together(readings: Iterator[Entry], whole: Iterator[Entry]) -> Iterator[Entry]:
    """Readings entries by cursor, each once: what a table tells of it beside what is told whole."""
    by_cursor = heapq.merge(readings, whole, key=lambda entry: entry.cursor)
    for _, parts in groupby(by_cursor, key=lambda entry: entry.cursor):
        first, *more = parts
        for part in more:
            first = first._replace(payload=part.payload or first.payload, rows=part.rows or first.rows)
        yield first


# -- reading files ---------------------------------------------------------------------------------------------------


def _of(files: Sequence[File], wanted: pa.Array) -> list[File]:
    """Those that may tell of devices that are wanted."""
    least, greatest = (pc.min_max(wanted)[end].as_py() for end in ("min", "max"))
    return [
        file for file in files if file.least["device_id"] <= greatest and file.greatest["device_id"] >= least
    ]


def _windows(
    files: Sequence[File], where: str, parameters: Mapping[str, Any], wanted: pa.Array | None
) -> list[int]:
    """Cursors at which to pause, so that no more than ``_ROWS_AT_ONCE`` rows lie between two, save of one entry."""
    schema = pa.schema([("cursor", pa.int64())])
    cursors = np.sort(_select(files, schema.names, where, parameters, schema, wanted)["cursor"].to_numpy())
    ends: list[int] = []
    start = 0
    while start < len(cursors):
        last = cursors[min(start + _ROWS_AT_ONCE, len(cursors)) - 1]
        ends.append(int(last))
        start = int(np.searchsorted(cursors, last, "right"))
    return ends


def _select(
    files: Sequence[File],
    names: Sequence[str],
    where: str,
    parameters: Mapping[str, Any],
    schema: pa.Schema,
    wanted: pa.Array | None = None,
    distinct: bool = False,
) -> pa.Table:
    if not files:
        return schema.empty_table()
    columns = ", ".join(f'"{name}"' for name in names)
    needed = [*dict.fromkeys([*names, *_ASKED_OF.findall(where)])]
    with parquet_files.connected(files[0].path) as connection:
        if wanted is not None:
            connection.register("wanted", pa.table({"id": wanted}))
        stored = SqlFiles().sql(connection, "sealed", [file.path for file in files], needed)
        sql = f"SELECT {'DISTINCT' if distinct else ''} {columns} FROM {stored} WHERE {where}"
        return connection.sql(sql, params=dict(parameters)).to_arrow_table().cast(schema)
