"""Several shards and one journal: what an actor holds, without the actor.

Every change is staged (applied in memory), then committed (input and events appended to the journal in one transaction),
and only then told to anybody. If a commit fails, memory is ahead of the log, so the host drops its shards, restores them
and refuses writes until an append succeeds. Snapshots bound how much a restart has to replay.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa

from twins import commands as c
from twins import entries, packing, snapshots, typefiles
from twins.clock import SECOND_US, stopwatch_s
from twins.entries import EntryKind
from twins.errors import (
    DegradedError,
    DeviceExistsError,
    DeviceNotFoundError,
    DeviceTypeNotFoundError,
    DiskFullError,
    FaultError,
    FencedError,
    FleetError,
    JournalCorruptError,
    OverloadedError,
    SnapshotError,
    StorageFullError,
)
from twins.events import EventBatch
from twins.journal import Entry, Journal, JournalConfig, StoredEntry, sync_folder
from twins.journal_repair import salvage
from twins.kernels import LineResults
from twins.packing import pack, unpack
from twins.prognosis import Prognoses
from twins.readings import ShardBatch
from twins.shard import Shard, ShardConfig
from twins.silence import DeclareSilent, command_of

HostState = Literal["closed", "ready", "degraded", "fenced", "away"]
"""``away`` is said of a host that does not answer."""

_REPLAY_PAGE: Final = 256
_REPLAY_PAGE_BYTES: Final = 64 << 20
_PROBE_EVERY_S: Final = 1.0
_SNAPSHOT_VERSION: Final = 1
_SNAPSHOT_SPARE: Final = 4 << 20  # bytes, for what is not in arrays
_SNAPSHOT_GROWTH: Final = 1.05
_ARCHIVED: Final = "archived"  # a file with the recorder's cursor
_SEEN: Final = "seen"  # a file with the cursor that history may hold


@dataclass(frozen=True, slots=True)
class HostConfig:
    """How a host keeps what it is told.

    A snapshot is taken once the entries since the last one took ``snapshot_after_s`` to apply, so that a restart replays no
    more than that, and in any case ``snapshot_every_s``, so that the past can be rebuilt nearby. Commands are remembered
    by id for ``remember_commands_s``. With ``recorded`` the journal keeps what the recorder has not said it has; without,
    only what the snapshots need.
    """

    journal: JournalConfig = field(default_factory=JournalConfig)
    shard: ShardConfig = field(default_factory=ShardConfig)
    snapshot_after_s: float = 2.0
    snapshot_after_entries: int = 20_000
    snapshot_every_s: float = 3600.0
    remember_commands_s: float = 86_400.0
    recorded: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Commit:
    """One entry that is durable: its place, and the events it caused, by device type."""

    cursor: int
    now_us: int
    events: Mapping[str, EventBatch]


@dataclass(frozen=True, slots=True, eq=False)
class _Staged:
    entry: Entry
    events: Mapping[str, EventBatch]


@dataclass(slots=True)
class HostStatus:
    """What a host says of itself; of one that is away, the state, the reason and the devices that are missing with it."""

    name: str
    state: HostState
    reason: str
    devices: int
    cursor: int
    archived: int
    snapshot_cursor: int
    journal_bytes: int
    damage: list[str]
    node: str = ""  # address of the machine it runs on
    home: str = ""  # id of the data folder it lives in, where there are several
    pid: int = 0


class ShardHost:
    """The shards of one actor and their journal.

    ``folder`` holds ``journal/`` and ``snapshots/``; None keeps nothing, for forks, notebooks and replays. The constructor
    never raises for what it finds on disk: ``open`` restores, and failure is a state that can be seen. ``check`` raises
    where the disk that ``folder`` lies on is not the right one: better no journal than an empty one.
    """

    def __init__(
        self,
        name: str,
        folder: Path | None,
        config: HostConfig | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.config = config or HostConfig()
        self.shards: dict[str, Shard] = {}
        self.now_us = 0
        self.cursor = 0
        self.state: HostState = "closed"
        self.reason = "not opened yet"
        self.damage: list[str] = []
        self.archived = 0  # how far the recorder says it is
        self._check = check
        self.claimant = ""  # who may register devices here: who claimed this host last
        self.announced = 0  # hosts that the fleet has, as far as this one was told
        self._journal: Journal | None = None
        self._staged: list[_Staged] = []
        self._remembered: dict[str, int] = {}  # command id -> shard time
        self._cost_s = 0.0
        self._entries = 0
        self._snapshot_cursor = 0
        self._snapshot_us = 0  # shard time of the newest one
        self._snapshot_running = False
        self._lost = False
        self._restored = False
        self._config_in_force = self.config.shard
        self._probed_s = -_PROBE_EVERY_S
        self._refusal: type[DegradedError] = DegradedError

    # -- coming up and going down ----------------------------------------------------------------------------------

    def open(self) -> None:
        """Take the journal over and restore the shards; never raises: see ``state`` and ``reason``.

        Damage in the journal costs the entries that it hit and no others; it is told in ``damage``.
        """
        try:
            if self.folder is not None:
                self.damage = []
                if self._check is not None:
                    self._check()
                self.archived = max(self.archived, _read_number(self.folder / _ARCHIVED))
                try:
                    self._take_journal(self.folder / "journal")
                    self._restore()
                except JournalCorruptError:
                    self._mend_journal(self.folder / "journal")
                    self._take_journal(self.folder / "journal")
                    self._restore()
            self.state, self.reason = "ready", ""
            self._put_config_in_force()
        except FencedError as error:
            self._degrade(error)
            self.state = "fenced"
        except (
            Exception
        ) as error:  # whatever it is, it is a state that can be seen and not the end of the actor
            self._degrade(error)

    def close(self) -> None:
        """Snapshot what stands, so that the next start replays nothing, and let the journal go."""
        if self.state == "ready":
            write = self.begin_snapshot()
            if write is not None:
                try:
                    write()
                except (OSError, FleetError) as error:
                    self.damage.append(f"no snapshot at the end: {error}; the next start replays the journal")
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self.state, self.reason = "closed", "closed"

    # -- changes: stage, then commit -------------------------------------------------------------------------------

    def stage_readings(
        self, device_type: str, batch: ShardBatch, now_us: int
    ) -> tuple[LineResults, EventBatch]:
        """Apply readings; nothing of it counts before ``commit``."""
        self._writable()
        shard = self.shard(device_type)
        now_us = self._clock(now_us)
        began = stopwatch_s()
        with self._undone_if_it_fails():
            applied = shard.apply(batch, now_us)
        events = {device_type: applied.events} if len(applied.events) else {}
        payload: bytes | bytearray = b""
        if self._journal is not None:
            payload = entries.encode_readings(device_type, batch, applied.results)
        self._stage(EntryKind.READINGS, now_us, payload, events)
        self._cost_s += stopwatch_s() - began
        return applied.results, applied.events

    def stage_command(self, command: c.Command, now_us: int) -> Mapping[str, EventBatch]:
        """Do what was asked; a command that was done already is not done again. Raises what the shard raises."""
        self._writable(urgent=True)
        now_us = self._clock(now_us)
        if command.command_id in self._remembered:
            return {}
        if isinstance(command, c.Report) and not self._is_news(command, now_us):
            return {}
        with self._undone_if_it_fails():
            # what cannot be kept is not done
            payload = entries.encode_command(type(command).__name__, c.to_body(command))
            events = self._do(command, now_us)
        if isinstance(command, c.SetParentState) and not events:
            return {}  # told again what was known: nothing to keep
        self._remember(command, now_us)
        self._stage(EntryKind.COMMAND, now_us, payload, events)
        return events

    def stage_scores(self, told: Prognoses, now_us: int) -> int:
        """Keep what a scorer says, of how many devices; nothing of it counts before ``commit``."""
        self._writable()
        shard = self.shard(told.device_type)
        now_us = self._clock(now_us)
        with self._undone_if_it_fails():
            kept = len(told) if told.is_shadow else shard.score(told, now_us)
        if kept:
            self._stage(EntryKind.SCORES, now_us, entries.encode_scores(told), {})
        return kept

    def stage_tick(self, now_us: int) -> Mapping[str, EventBatch]:
        """Let time pass; only a tick in which something happened becomes an entry."""
        self._writable(urgent=True)
        now_us = self._clock(now_us)
        with self._undone_if_it_fails():
            events = self._tick(now_us)
        if events:
            self._stage(EntryKind.TICK, now_us, b"", events)
        return events

    def stage_fork(self, at_us: int) -> None:
        """Let time pass up to ``at_us`` and mark it: from this place of the journal twins are forked."""
        self.stage_tick(at_us)
        self._stage(EntryKind.MARK, self.now_us, bytes(pack({"forked": at_us})), {})

    def commit(self) -> list[Commit]:
        """Make all that was staged durable, in one transaction. Then, and only then, may it be told.

        Raises
        ------
        OverloadedError : the journal is full; nothing of what was staged counts.
        DegradedError : the append failed; the shards were restored to what is durable.
        """
        staged, self._staged = self._staged, []
        if not staged:
            return []
        if self._journal is None:
            first = self.cursor + 1
            self.cursor += len(staged)
            return [Commit(first + i, each.entry.now_us, each.events) for i, each in enumerate(staged)]
        try:
            urgent = all(each.entry.kind != EntryKind.READINGS for each in staged)
            cursors = self._journal.append([each.entry for each in staged], urgent=urgent)
        except FleetError as error:
            self._fall_back(error)
            if isinstance(error, OverloadedError):
                raise
            raise self._refusal(str(error)) from error
        self.cursor = cursors[-1]
        self._entries += len(staged)
        return [Commit(at, each.entry.now_us, each.events) for at, each in zip(cursors, staged, strict=True)]

    def forget(self, reason: str) -> None:
        """Go back to what is durable: something failed half-way through a change."""
        self._staged = []
        self._fall_back(FaultError(reason))

    def resume(self, now_us: int) -> None:
        """Say that nobody could be heard until now: the platform's own absence is no device's silence."""
        if self.state != "ready" or not self.shards:
            return
        now_us = self._clock(now_us)
        if self._journal is not None:
            mark = Entry(int(EntryKind.MARK), now_us, bytes(pack({"resumed": True})))
            try:
                (self.cursor,) = self._journal.append([mark], urgent=True)
            except FleetError as error:  # whether it is in the log is not known: go back to what is
                self._fall_back(error)
                raise
        self._take_up(now_us)

    def _take_up(self, now_us: int) -> None:
        for shard in self.shards.values():
            shard.resume(now_us)

    def announce(self, hosts: int) -> None:
        """Remember that the fleet has so many hosts, before the newest of them is there."""
        if hosts <= self.announced:
            return
        self._writable(urgent=True)
        self._stage(EntryKind.MARK, self.now_us, bytes(pack({"hosts": hosts})), {})
        self.commit()
        self.announced = hosts

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def is_whole(self) -> bool:
        """Whether all that is durable stands in memory, be it that writes are refused."""
        return self.folder is None or (self._restored and self._journal is not None)

    def chunks_of(self, command_id: str) -> list[str]:
        """The parts of a registration, ``<command id>#<part>``, that were done here."""
        return [
            each.removeprefix(f"{command_id}#")
            for each in self._remembered
            if each.startswith(f"{command_id}#")
        ]

    def shard(self, device_type: str) -> Shard:
        """The shard of a type; DeviceTypeNotFoundError if the type is not installed here."""
        shard = self.shards.get(device_type)
        if shard is None:
            raise DeviceTypeNotFoundError(device_type, tuple(sorted(self.shards)))
        return shard

    def read_after(self, cursor: int, limit: int = 256) -> list[StoredEntry]:
        """Entries that follow ``cursor``, oldest first; JournalGapError if they are gone."""
        return self._journal.read_after(cursor, limit) if self._journal is not None else []

    def status(self) -> HostStatus:
        return HostStatus(
            name=self.name,
            state=self.state,
            reason=self.reason,
            devices=sum(len(shard) for shard in self.shards.values()),
            cursor=self.cursor,
            archived=self.archived,
            snapshot_cursor=self._snapshot_cursor,
            journal_bytes=self._journal.bytes if self._journal is not None else 0,
            damage=list(self.damage),
        )

    # -- snapshots and cutting -------------------------------------------------------------------------------------

    @property
    def snapshot_due(self) -> bool:
        """Whether a restart would by now replay for longer than it should."""
        return self.folder is not None and (
            self._cost_s > self.config.snapshot_after_s
            or self._entries > self.config.snapshot_after_entries
            or (
                self.cursor > self._snapshot_cursor
                and self.now_us - self._snapshot_us > self.config.snapshot_every_s * SECOND_US
            )
        )

    @property
    def snapshot_bytes(self) -> int:
        """Room that a snapshot takes if little comes to be before it."""
        arrays = [array for shard in self.shards.values() for array in shard.snapshot()[1].values()]
        return _SNAPSHOT_SPARE + round(_SNAPSHOT_GROWTH * sum(array.nbytes for array in arrays))

    def begin_snapshot(self, room: memoryview | None = None) -> Callable[[], None] | None:
        """Copy what stands now, at once; the returned function writes it and may run in another thread.

        With a ``room`` of ``snapshot_bytes`` that is made beforehand (``packing.room``) the copy takes a fifth of the time.
        None if nothing has happened since the last one, or if the host keeps nothing.
        """
        if self.folder is None or self._staged or self._snapshot_running:
            return None
        if self.cursor == self._snapshot_cursor:
            return None
        folder, cursor, keep_from = self.folder / "snapshots", self.cursor, self.now_us
        meta: dict[str, Any] = {
            "version": _SNAPSHOT_VERSION,
            "epoch": self._journal.epoch if self._journal is not None else 0,
            "now_us": keep_from,
            "config": asdict(self._config_in_force),
            "remembered": dict(self._remembered),
            "announced": self.announced,
            "shards": {},
        }
        arrays = {}
        for name, shard in self.shards.items():
            shard_meta, shard_arrays = shard.snapshot()
            meta["shards"][name] = shard_meta
            arrays.update({f"{name}/{key}": array for key, array in shard_arrays.items()})
        finish = packing.begin(meta, arrays, room)
        cost_s, entries_then = self._cost_s, self._entries
        self._snapshot_running = True

        def write() -> None:
            try:
                snapshots.write(folder, cursor, finish())
                self._snapshot_cursor, self._snapshot_us = cursor, keep_from
                self._cost_s -= cost_s
                self._entries -= entries_then
            finally:
                self._snapshot_running = False
            self._cut()

        return write

    def archive(self, cursor: int) -> None:
        """The recorder has everything up to ``cursor`` in history. Remembered over restarts."""
        if cursor <= self.archived or self.folder is None:
            return
        _write_number(self.folder / _ARCHIVED, cursor)
        self.archived = cursor
        self._cut()

    def _cut(self) -> None:
        """Let the journal go where two snapshots and the recorder no longer need it, with two commits of grace."""
        if self._journal is None or self.folder is None:
            return
        kept = snapshots.cursors(self.folder / "snapshots")
        if len(kept) < 2:
            return
        upto = min(kept[0], self.archived) if self.config.recorded else kept[0]
        self._journal.cut(upto - 2)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _take_journal(self, folder: Path) -> None:
        if self._journal is not None:
            self._journal.recover()
            return
        known = self._newest_known()
        self._journal = Journal.open(folder, self.config.journal, start_after=known)
        end = self._journal.last_cursor
        if end < known:
            raise JournalCorruptError(
                str(folder), f"entries {end + 1} to {known} are gone from its end", end + 1
            )

    def _mend_journal(self, folder: Path) -> None:
        """Put a LOST entry in the place of each that can no longer be read, and say so."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        known = self._newest_known()
        found = salvage(folder, at_least=known)
        self.damage += [f"journal entries {d.first} to {d.last}: {d.problem}" for d in found.damage]
        if found.last < known:
            self.damage.append(f"journal entries {found.last + 1} to {known}: gone from its end")

    def _newest_known(self) -> int:
        """The highest cursor that a snapshot or the recorder has seen: none below it is given out again."""
        assert self.folder is not None
        seen = _read_number(self.folder / _SEEN)
        return max([*snapshots.cursors(self.folder / "snapshots"), self.archived, seen])

    @contextmanager
    def _undone_if_it_fails(self) -> Iterator[None]:
        """A refusal changes nothing; anything else may have changed half of something, and is undone."""
        try:
            yield
        except FleetError:
            raise
        except Exception as error:
            self.forget(repr(error))
            raise FaultError(repr(error)) from error

    def _put_config_in_force(self) -> None:
        """What judges readings is part of the log: a replay must judge as was judged then."""
        if self._config_in_force == self.config.shard:
            return
        if self._journal is not None:
            payload = bytes(pack({"config": asdict(self.config.shard)}))
            (self.cursor,) = self._journal.append(
                [Entry(int(EntryKind.MARK), self.now_us, payload)], urgent=True
            )
        self._reconfigure(self.config.shard)

    def _reconfigure(self, config: ShardConfig) -> None:
        self._config_in_force = config
        for shard in self.shards.values():
            shard.reconfigure(config)

    def _stage(
        self, kind: EntryKind, now_us: int, payload: bytes | bytearray, events: Mapping[str, EventBatch]
    ) -> None:
        blob = entries.encode_events(events) if events and self._journal is not None else None
        self._staged.append(_Staged(Entry(int(kind), now_us, bytes(payload), blob and bytes(blob)), events))

    def _do(self, command: c.Command, now_us: int) -> Mapping[str, EventBatch]:
        """Hand a command to the shards it is about."""
        match command:
            case c.InstallType():
                return self._install(command, now_us)
            case c.SetParentState() | c.MarkParents() | c.EndImport() | DeclareSilent():
                told = {name: shard.command(command, now_us) for name, shard in self.shards.items()}
                return {name: events for name, events in told.items() if len(events)}
            case c.RegisterDevices():
                self._check_ids(command)
                name = command.device_type
            case _:
                name = self._type_of(getattr(command, "device_id", None) or command.device.id)  # type: ignore[attr-defined]
        events = self.shard(name).command(command, now_us)
        return {name: events} if len(events) else {}

    def _check_ids(self, command: c.RegisterDevices) -> None:
        """An id is one device's, whatever its type."""
        ids = pa.array([device.id for device in command.devices], pa.string())
        for shard in self.shards.values():
            known = shard.roster.index.find(ids) >= 0
            if known.any():
                raise DeviceExistsError(command.devices[int(known.argmax())].id)

    def _install(self, command: c.InstallType, now_us: int) -> Mapping[str, EventBatch]:
        device_type = typefiles.from_document(command.document)
        shard = self.shards.get(device_type.name)
        if shard is None:
            shard = self.shards[device_type.name] = Shard(device_type, self._config_in_force)
        events = shard.command(command, now_us)
        return {device_type.name: events}

    def _tick(self, now_us: int) -> Mapping[str, EventBatch]:
        ticked = {name: shard.advance(now_us) for name, shard in self.shards.items()}
        return {name: events for name, events in ticked.items() if len(events)}

    def _type_of(self, device_id: str) -> str:
        for name, shard in self.shards.items():
            if shard.row_of(device_id) >= 0:
                return name
        raise DeviceNotFoundError(device_id)

    def _writable(self, urgent: bool = False) -> None:
        if self.state == "degraded":
            self._probe()
        if self.state != "ready":
            raise self._refusal(self.reason)
        if self._journal is not None:
            self._journal.check_room(urgent=urgent)

    def _probe(self) -> None:
        """Writes resume when an append succeeds: try one that changes nothing, at most once a second."""
        if stopwatch_s() - self._probed_s < _PROBE_EVERY_S:
            return
        self._probed_s = stopwatch_s()
        if self._journal is None or not self._restored:
            self.open()
            return
        try:
            self._journal.recover()
            (self.cursor,) = self._journal.append([Entry(int(EntryKind.MARK), self.now_us, b"")], urgent=True)
        except FleetError as error:
            self._degrade(error)
        else:
            self.state, self.reason = "ready", ""

    def _clock(self, now_us: int) -> int:
        """Shard time never goes back."""
        self.now_us = max(self.now_us, now_us)
        return self.now_us

    def _is_news(self, command: c.Report, now_us: int) -> bool:
        """Whether a report says something that is not known."""
        return self.shard(self._type_of(command.device_id)).is_news(command, now_us)

    def _remember(self, command: c.Command, now_us: int) -> None:
        if isinstance(command, c.Report):
            return
        self._remembered[command.command_id] = now_us
        horizon = now_us - round(self.config.remember_commands_s * SECOND_US)
        while self._remembered:
            oldest = next(iter(self._remembered))
            if self._remembered[oldest] >= horizon:
                break
            del self._remembered[oldest]

    def _fall_back(self, error: FleetError) -> None:
        """Memory is ahead of the log: go back to what is durable."""
        self.open()
        if (
            self.state == "ready"
        ):  # what is durable stands again and can be read; writing waits for a good append
            self._degrade(error)
        if isinstance(error, FencedError):
            self.state = "fenced"

    def _degrade(self, error: Exception) -> None:
        """Refuse writes from now on, for this reason."""
        self.state, self.reason = "degraded", str(error) or repr(error)
        self._refusal = StorageFullError if isinstance(error, DiskFullError) else DegradedError

    def _restore(self) -> None:
        """The newest snapshot that can be read, and what the journal holds after it."""
        assert self._journal is not None
        assert self.folder is not None
        self._restored = False
        self.shards, self._remembered = {}, {}
        self.now_us, self.cursor, self.announced = 0, 0, 0
        self._config_in_force = ShardConfig()  # what a log begins with
        found, unreadable = snapshots.newest(self.folder / "snapshots")
        self.damage += unreadable
        if found is not None:
            self.cursor, meta, arrays = found
            if meta["version"] != _SNAPSHOT_VERSION:
                raise SnapshotError(
                    str(self.folder), f"version {meta['version']}, this Twinfold reads {_SNAPSHOT_VERSION}"
                )
            self.now_us = meta["now_us"]
            self._config_in_force = ShardConfig.from_json(meta["config"])
            self._remembered = dict(meta["remembered"])
            self.announced = meta.get("announced", 0)
            for name, shard_meta in meta["shards"].items():
                mine = {k.removeprefix(f"{name}/"): v for k, v in arrays.items() if k.startswith(f"{name}/")}
                self.shards[name] = Shard.restore(shard_meta, mine, self._config_in_force)
        self._snapshot_cursor, self._snapshot_us = self.cursor, self.now_us
        self._lost = False
        began = stopwatch_s()
        while page := self._journal.read_after(self.cursor, _REPLAY_PAGE, _REPLAY_PAGE_BYTES):
            for entry in page:
                try:
                    self._replay(entry)
                except FleetError as error:
                    if not self._lost:
                        raise
                    # it fitted a state that an entry made which is lost
                    self.damage.append(f"journal entry {entry.cursor} no longer applies: {error}")
                self.cursor = entry.cursor
        self._cost_s = stopwatch_s() - began
        self._restored = True
        if unreadable:  # what stands was made without them; they must not count as kept
            snapshots.set_aside(self.folder / "snapshots", self._snapshot_cursor)

    def _replay(self, entry: StoredEntry) -> None:
        """Apply an entry again, through the same code; what it emits was told when it was first committed."""
        self.now_us = max(self.now_us, entry.now_us)
        match EntryKind(entry.kind):
            case EntryKind.READINGS:
                name, batch = entries.decode_readings(entry.payload)
                self.shard(name).apply(batch, entry.now_us)
            case EntryKind.COMMAND:
                name, body = entries.decode_command(entry.payload)
                command = command_of(name, body)
                if isinstance(command, c.RegisterDevices) and self._lost and entry.events:
                    rows = entries.decode_events(entry.events)[command.device_type].records["row"]
                    self.shard(command.device_type).pad(int(rows[0]), self.name)
                self._do(command, entry.now_us)
                self._remember(command, entry.now_us)
            case EntryKind.TICK:
                self._tick(entry.now_us)
            case EntryKind.SCORES:
                told = entries.decode_scores(entry.payload)
                if not told.is_shadow:
                    self.shard(told.device_type).score(told, entry.now_us)
            case EntryKind.MARK:
                said = unpack(entry.payload)[0] if entry.payload else {}
                if "config" in said:
                    self._reconfigure(ShardConfig.from_json(said["config"]))
                self.announced = max(self.announced, said.get("hosts", 0))
                if "resumed" in said:
                    self._take_up(entry.now_us)
            case EntryKind.LOST:
                self._lost = True


def note_seen(folder: Path, cursor: int) -> None:
    """Note in a host's folder that history is about to hold its entries up to ``cursor``.

    Should the journal lose its end, none of these cursors is given out again: history would take what has them for
    what it holds already. Unlike ``archive`` it needs no host that is up, and is not told afterwards but before.
    """
    _write_number(folder / _SEEN, cursor)


def _read_number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _write_number(path: Path, number: int) -> None:
    part = path.with_suffix(".part")
    with part.open("w") as file:
        file.write(str(number))
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_folder(path.parent)
