"""Entries of a journal taken again, by the twins of one actor and type: what the past is rebuilt with.

A shard of the wanted devices alone takes every entry in the order and with the ``now`` it had; no device's state depends on
another's but through commands. Where the entries come from is up to ``past.py`` and ``standing.py``.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.errors import MomentNotKeptError
from training.recorder import Source
from twins import commands as c
from twins import entries, typefiles
from twins.devices import DeviceType
from twins.directory import Roster
from twins.entries import EntryKind
from twins.events import EventBatch
from twins.journal import StoredEntry
from twins.packing import Arrays, unpack
from twins.prognosis import Prognoses
from twins.readings import ShardBatch
from twins.shard import Shard, ShardConfig
from twins.silence import command_of

_ENTRIES_AT_ONCE: Final = 256


class Entry(NamedTuple):
    """An entry to be taken again: ``kind`` is an ``EntryKind``'s name."""

    cursor: int
    now_us: int
    kind: str
    command: tuple[str, Mapping[str, Any]] | None = None
    payload: bytes | memoryview | None = None  # of a mark, or a readings entry as it was
    rows: "Rows | None" = None  # of a readings entry, as a table tells it


class Rows(NamedTuple):
    """Lines of one entry: by device id, since that is what a table knows."""

    ids: pa.Array
    event_us: NDArray[np.int64]
    values: NDArray[Any]
    present: NDArray[np.uint64]


class Rebuilding:
    """The shard of the wanted devices of one actor and type, and what it takes to go on with it.

    Attributes
    ----------
    cursor, began : the last entry that was taken, and that of the snapshot it began with (0: none)
    shard : the twins; None: no version of their type is in force yet
    from_snapshot_us : shard time of that snapshot
    readings : how many lines were taken since
    pieces : how a batch of readings is cut; each piece is applied before the next is asked for, so that who cuts may look
    """

    def __init__(self, actor: str, device_type: str, wanted: pa.Array | None) -> None:
        self.actor = actor
        self.device_type = device_type
        self.wanted = wanted
        self.cursor = self.began = 0
        self.shard: Shard | None = None
        self.from_snapshot_us: int | None = None
        self.readings = 0
        self.pieces: Callable[[Shard, ShardBatch], Iterator[ShardBatch]] = _whole
        self._held = False
        self._config = ShardConfig()
        self._lost: Entry | None = None
        self._place = np.zeros(0, np.int32)  # row in the actor's shard -> row here, -1: not wanted

    @classmethod
    def from_snapshot(
        cls,
        actor: str,
        device_type: str,
        wanted: pa.Array | None,
        cursor: int,
        meta: dict[str, Any],
        arrays: Arrays,
    ) -> "Rebuilding":
        work = cls(actor, device_type, wanted)
        work.cursor = work.began = cursor
        work.from_snapshot_us = meta["now_us"]
        work._config = ShardConfig.from_json(meta["config"])
        shard_meta = meta["shards"].get(device_type)
        if shard_meta is None:
            return work
        mine = {
            k.removeprefix(f"{device_type}/"): v for k, v in arrays.items() if k.startswith(f"{device_type}/")
        }
        roster = {k.removeprefix("roster."): v for k, v in mine.items() if k.startswith("roster.")}
        ids = Roster.ids_in(shard_meta["roster"], roster)
        only = work._chosen(ids)
        work._place = np.full(len(ids), -1, np.int32)
        work._place[only] = np.arange(len(only))
        work.shard = Shard.restore(shard_meta, mine, work._config, only)
        return work

    def take(self, entry: Entry) -> EventBatch:
        """Take an entry again; gives what happened by it.

        Raises
        ------
        MomentNotKeptError : what came before it is damaged.
        CommandRefusedError, AlertNotFoundError : under the version that is held, what was asked for then does not fit;
            nothing was changed.
        """
        if (
            self._lost is not None
        ):  # only what follows says that it was before the moment: it has no time of its own
            raise MomentNotKeptError(self.actor, entry.now_us, None, f"damage to entry {self._lost.cursor}")
        self.cursor = entry.cursor
        match entry.kind:
            case "lost":
                self._lost = entry if self.shard is not None else None
            case "command":
                assert entry.command is not None
                return self._command(*entry.command, entry.now_us)
            case "mark" if entry.payload:
                self._mark(unpack(entry.payload)[0], entry.now_us)
            case "tick":
                return self.advance(entry.now_us)
            case "scores" if self.shard is not None and entry.payload:
                self._score(entries.decode_scores(entry.payload), entry.now_us)
            case "readings" if self.shard is not None:
                batch = self._batch(entry)
                if batch is not None and len(batch):
                    self.readings += len(batch)
                    return self._apply(batch, entry.now_us)
        return EventBatch.empty()

    def advance(self, now_us: int) -> EventBatch:
        """Let shard time pass; gives what happened by that."""
        return EventBatch.empty() if self.shard is None else self.shard.advance(now_us)

    def copied(self) -> "Rebuilding":
        """The same once more, to go on with in another way."""
        work = copy.copy(self)
        if self.shard is not None:
            work.shard = Shard.restore(*self.shard.snapshot(), self._config)
        return work

    def hold(self, device_type: DeviceType, now_us: int) -> EventBatch:
        """Put a version in force as a host does, and keep it there, whatever is installed in what follows."""
        if self.shard is None:
            self.shard = Shard(device_type, self._config)
        document = typefiles.to_document(device_type)
        self._held = True
        return self.shard.command(c.InstallType(command_id="held", by="", document=document), now_us)

    def local(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Rows of the actor's shard as rows here; -1 for devices that are not wanted."""
        return self._place[rows]

    def _apply(self, batch: ShardBatch, now_us: int) -> EventBatch:
        assert self.shard is not None
        return EventBatch.join(
            [self.shard.apply(piece, now_us).events for piece in self.pieces(self.shard, batch)]
        )

    def _chosen(self, ids: pa.Array) -> NDArray[np.int64]:
        if self.wanted is None:
            return np.arange(len(ids))
        return np.flatnonzero(pc.is_in(ids, self.wanted).to_numpy(zero_copy_only=False))

    def _mark(self, said: Mapping[str, Any], now_us: int) -> None:
        if "config" in said:
            self._config = ShardConfig.from_json(said["config"])
            if self.shard is not None:
                self.shard.reconfigure(self._config)
        if "resumed" in said and self.shard is not None:
            self.shard.resume(now_us)

    def _score(self, told: Prognoses, now_us: int) -> None:
        if self.shard is None or told.device_type != self.device_type or told.is_shadow:
            return
        rows = self.local(told.rows)
        mine = told.where(rows >= 0)
        self.shard.score(replace(mine, rows=rows[rows >= 0]), now_us)

    def _command(self, name: str, body: Mapping[str, Any], now_us: int) -> EventBatch:
        if name == "InstallType":
            return self._install(name, body, now_us)
        if self.shard is None:
            return EventBatch.empty()
        if name == "RegisterDevices":
            return self._register(name, body, now_us)
        about = body["device"]["id"] if "device" in body else body.get("device_id")
        if about is None or self.shard.row_of(about) >= 0:
            return self._do(name, body, now_us)
        return EventBatch.empty()

    def _install(self, name: str, body: Mapping[str, Any], now_us: int) -> EventBatch:
        if self._held or body["document"]["name"] != self.device_type:
            return EventBatch.empty()
        if self.shard is None:
            self.shard = Shard(typefiles.from_document(body["document"]), self._config)
        return self._do(name, body, now_us)

    def _register(self, name: str, body: Mapping[str, Any], now_us: int) -> EventBatch:
        assert self.shard is not None
        if body["device_type"] != self.device_type:
            return EventBatch.empty()
        said = body["devices"]
        chosen = self._chosen(pa.array([each["id"] for each in said], pa.string()))
        place = np.full(len(said), -1, np.int32)
        place[chosen] = len(self.shard) + np.arange(len(chosen))
        self._place = np.concatenate([self._place, place])
        if not len(chosen):
            return EventBatch.empty()
        return self._do(name, {**body, "devices": [said[at] for at in chosen.tolist()]}, now_us)

    def _do(self, name: str, body: Mapping[str, Any], now_us: int) -> EventBatch:
        assert self.shard is not None
        return self.shard.command(command_of(name, body), now_us)

    def _batch(self, entry: Entry) -> ShardBatch | None:
        """A readings entry as the small shard takes it: each device's lines in the order in which they came."""
        assert self.shard is not None
        parts = []
        if entry.payload is not None:
            name, came = entries.decode_readings(entry.payload)
            if name == self.device_type:
                rows = self.local(came.rows)
                mine = rows >= 0
                parts.append((rows[mine], came.event_us[mine], came.values[mine], came.present[mine]))
        if entry.rows is not None:
            told = entry.rows
            rows = self.shard.roster.index.find(told.ids.cast(pa.string()))
            mine = rows >= 0
            if parts:  # what is told whole is not taken from the table, too
                mine &= ~np.isin(rows, parts[0][0])
            parts.append((rows[mine], told.event_us[mine], told.values[mine], told.present[mine]))
        if not parts:
            return None
        dtype = self.shard.device_type.dtype
        rows, event_us, values, present = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return ShardBatch(rows.astype(np.int32), event_us, values.astype(dtype), present)


def _whole(_: Shard, batch: ShardBatch) -> Iterator[ShardBatch]:
    yield batch


def of_journal(stored: StoredEntry) -> Entry:
    kind = EntryKind(stored.kind)
    command = entries.decode_command(stored.payload) if kind == EntryKind.COMMAND else None
    return Entry(stored.cursor, stored.now_us, kind.name.lower(), command, stored.payload)


def followed(source: Source, cursor: int) -> Iterator[StoredEntry]:
    while page := source.read_after(cursor, _ENTRIES_AT_ONCE):
        yield from page
        cursor = page[-1].cursor
