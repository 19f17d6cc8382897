"""What a fleet may ask of a host, each change durable before it is answered. The same calls in a process and in an actor."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twins import commands as c
from twins import typefiles, views
from twins.covariates import Covariates, covariates
from twins.devices import Device, DeviceType
from twins.directory import NO_ROWS, Seal
from twins.downlink import BLANK
from twins.downlink_book import DownlinkBook
from twins.errors import DegradedError, DeviceNotFoundError, FleetError, StaleDirectoryError, SupersededError
from twins.events import EventBatch
from twins.host import HostStatus, ShardHost
from twins.journal import StoredEntry
from twins.kernels import LineResults
from twins.prognosis import Prognoses, PrognosisState, chosen
from twins.readings import Fate, ShardBatch
from twins.shard import Shard
from twins.state import IMPORTING, NEVER_US, RETIRED
from twins.whatif import forks
from twins.whatif.forks import Taken

LINES_AT_ONCE: Final = 50_000
"""Lines of a batch that a host takes between two chances for others to be heard."""

COMMANDS_AT_ONCE: Final = 200
"""Commands that a host does between two chances for others to be heard."""

DOWNLINKS_AT_ONCE: Final = 500
"""Devices of a type that one answer tells what is asked of."""

_UNSAID: Final = np.uint8(255)


@dataclass(frozen=True, slots=True, eq=False)
class HostReply:
    """What a host answers once its part is durable."""

    cursor: int
    counts: NDArray[np.int64]  # (6,) lines by Fate
    results: LineResults | None
    events: Sequence[tuple[str, EventBatch]]
    parents: Sequence[tuple[str, int]]  # devices with children whose state changed: id, flags
    first_row: int = -1  # of the devices, if any were registered
    refused: Sequence[FleetError | None] = ()  # of several commands, why each was not done


@dataclass(frozen=True, slots=True, eq=False)
class ShardMembers:
    """Who lives in a shard, as far as who asks does not know: ids by row from ``first_row`` on, the type's document.

    ``parents`` were named by devices here; ``marked`` live here and know that they have children.
    """

    device_type: str
    document: dict[str, Any] | None
    first_row: int
    ids: pa.StringArray
    parents: list[str]
    marked: list[str]
    is_dedicated: bool


class Known(NamedTuple):
    """What is known of a shard: the seal of its first rows, the version of its type."""

    seal: Seal
    version: int


@dataclass(frozen=True, slots=True, eq=False)
class Claimed:
    """What a host says to who takes its membership over.

    ``strange`` are types whose known rows are not the first of those that the host has: all that was known is void.
    ``announced`` is how many hosts the fleet has; ``is_ready`` says whether devices can be registered at present. ``chunks``
    are the parts of the registration that was asked about which were done here, ``cursor`` is not before them.
    """

    shards: Sequence[ShardMembers]
    strange: Sequence[str]
    announced: int
    is_ready: bool
    chunks: Sequence[str]
    cursor: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a list of devices of one type, to be registered on one host by who claimed that host last."""

    command_id: str
    by: str
    device_type: str
    start: int
    stop: int
    claimant: str


@dataclass(frozen=True, slots=True, eq=False)
class Scorable:
    """Devices of a shard that a scorer may be asked about, copied at one moment.

    Attributes
    ----------
    seal : of the rows of then
    end : rows of the shard up to here were looked at
    rows, life_cycle, event_us : (n,) of those that live and were heard
    known : what a forecast is told of them
    said : the forecasts that stand
    ids : (n,) their ids, if they were asked for
    """

    seal: Seal
    end: int
    rows: NDArray[np.int32]
    life_cycle: NDArray[np.int32]
    event_us: NDArray[np.int64]
    known: Covariates
    said: PrognosisState
    ids: pa.StringArray | None


class Mark(NamedTuple):
    """How far the changes of a shard's downlinks are known: which life of it, and which change."""

    life: str
    at: int


class Changed(NamedTuple):
    """What is asked of devices for which that has changed, marks to go on from, and whether there is more."""

    asked: dict[str, dict[str, Any]]
    marks: dict[str, Mark]
    is_more: bool


@dataclass(frozen=True, slots=True, eq=False)
class Copied:
    """The twins of a host at one moment: what was answered at that place of the journal, shard time, the shards."""

    reply: HostReply
    at_us: int
    shards: Sequence[Taken]


class HostService:
    """What a fleet may ask of a host: the host's calls, each made durable before it answers."""

    def __init__(self, host: ShardHost) -> None:
        self.host = host
        self._lives: dict[str, tuple[DownlinkBook, str]] = {}  # by type
        self._shown: dict[
            str, NDArray[np.uint8]
        ] = {}  # by type and row: the flags that children were to have

    def write(self, device_type: str, batch: ShardBatch, now_us: int, trace: bool) -> HostReply:
        """Take readings in, a bounded piece at a time."""
        self.check(device_type, batch)
        pieces = [
            self.write_piece(device_type, batch.take(start, start + LINES_AT_ONCE), now_us, trace)
            for start in range(0, len(batch), LINES_AT_ONCE)
        ]
        return joined(pieces, self.host.cursor)

    def check(self, device_type: str, batch: ShardBatch) -> None:
        """Refuse readings of another shape or of other rows than the shard has, before they wait together with others.

        Raises
        ------
        ReadingError, StaleDirectoryError : nothing was taken.
        """
        shard = self.host.shards.get(device_type)
        if shard is None:
            raise StaleDirectoryError(device_type, batch.seal.rows if batch.seal is not None else 0, 0)
        shard.check_shape(batch)
        shard.check_seal(batch.seal)

    def write_piece(self, device_type: str, batch: ShardBatch, now_us: int, trace: bool) -> HostReply:
        """Take a piece of a batch in, in one commit."""
        results, events = self.host.stage_readings(device_type, batch, now_us)
        self.host.commit()
        return HostReply(
            cursor=self.host.cursor,
            counts=np.bincount(results.fate, minlength=len(Fate)),
            results=results if trace else None,
            events=[(device_type, events)] if trace and len(events) else [],
            parents=self._news_for_children(device_type, batch.rows),
        )

    def command(self, command: c.Command, now_us: int) -> HostReply:
        self.host.stage_command(command, now_us)
        reply = self._committed()
        if isinstance(command, c.MarkParents):  # children that are new to them want to know how they are now
            states = [
                pair for name in self.host.shards for pair in self._states(name, ids=command.device_ids)
            ]
            return replace(reply, parents=[*reply.parents, *states])
        return reply

    def commands(self, commands: Sequence[c.Command], now_us: int) -> HostReply:
        """Do several things in one commit; one that is refused keeps no other from being done."""
        refused: list[FleetError | None] = []
        for command in commands:
            try:
                self.host.stage_command(command, now_us)
            except FleetError as error:
                if self.host.state != "ready":  # nothing of what was staged is left
                    raise
                refused.append(error)
            else:
                refused.append(None)
        return replace(self._committed(), refused=refused)

    def claim(self, claimant: str, known: Mapping[str, Known], command_id: str = "") -> Claimed:
        """Take the membership of this host over: from now on only ``claimant`` registers here, whoever did before.

        ``known`` is what needs not be told; ``command_id`` that of a registration which may have been begun before.

        Raises
        ------
        DegradedError : the host is not restored, so it cannot say who lives here.
        """
        if not self.host.is_whole:
            raise DegradedError(f"{self.host.name} is {self.host.state}: {self.host.reason}")
        self.host.claimant = claimant
        strange = [
            name
            for name, (seal, _) in known.items()
            if name not in self.host.shards or not self.host.shards[name].roster.bears(seal)
        ]
        shards = []
        for name, shard in self.host.shards.items():
            seal, version = known.get(name, Known(NO_ROWS, -1))
            first = 0 if name in strange else seal.rows
            has_news = first < len(shard) or name not in known
            shards.append(
                ShardMembers(
                    name,
                    None
                    if version == shard.device_type.version
                    else typefiles.to_document(shard.device_type),
                    first,
                    shard.roster.index.ids(first),
                    shard.roster.parents() if has_news else [],
                    shard.marked() if has_news else [],
                    shard.roster.is_dedicated,
                )
            )
        chunks = self.host.chunks_of(command_id) if command_id else []
        is_ready = self.host.state == "ready"
        return Claimed(shards, strange, self.host.announced, is_ready, chunks, self.host.cursor)

    def confirm(self, claimant: str) -> None:
        """Say that nobody has claimed this host since ``claimant`` did.

        Raises
        ------
        SupersededError : somebody has.
        """
        self._check_claimant(claimant)

    def announce(self, claimant: str, hosts: int) -> None:
        """Remember that the fleet has so many hosts; whoever claims this one next hears it."""
        self._check_claimant(claimant)
        self.host.announce(hosts)

    def register(self, devices: Sequence[Device], chunk: "Chunk", now_us: int) -> HostReply:
        """Register the devices that ``chunk`` names.

        Raises
        ------
        SupersededError : another has claimed this host since; nothing was registered.
        """
        self._check_claimant(chunk.claimant)
        chosen = tuple(devices[chunk.start : chunk.stop])
        command = c.RegisterDevices(
            command_id=chunk.command_id, by=chunk.by, device_type=chunk.device_type, devices=chosen
        )
        reply = self.command(command, now_us)
        return replace(reply, first_row=self.host.shard(chunk.device_type).row_of(chosen[0].id))

    def tick(self, now_us: int) -> HostReply:
        self.host.stage_tick(now_us)
        return self._committed()

    def scorable(self, device_type: str, first: int, most: int, with_ids: bool) -> Scorable | None:
        """Devices among ``most`` rows from ``first`` on that live and were heard; None: the type has no such rows here."""
        shard = self.host.shards.get(device_type)
        return None if shard is None else scorable(shard, first, most, with_ids)

    def scorable_one(self, device_type: str, device_id: str) -> Scorable:
        """The same of one device, whatever it does; DeviceNotFoundError if it does not live here."""
        shard = self.host.shards.get(device_type)
        row = -1 if shard is None else shard.row_of(device_id)
        if shard is None or row < 0:
            raise DeviceNotFoundError(device_id)
        return _scorable(shard, np.array([row], np.int32), row + 1, pa.array([device_id], pa.string()))

    def score(self, told: Prognoses, now_us: int) -> HostReply:
        """Keep forecasts of devices whose covariates were read here.

        Raises
        ------
        StaleDirectoryError : the rows are not those of this shard any more; nothing was kept.
        """
        self.host.shard(told.device_type).check_seal(told.seal)
        self.host.stage_scores(told, now_us)
        self.host.commit()
        return HostReply(self.host.cursor, np.zeros(len(Fate), np.int64), None, [], [])

    def fork(self, at_us: int) -> "Copied":
        """Copies of all twins as of shard time ``at_us``, or now, if that is later."""
        self.host.stage_fork(at_us)
        reply = self._committed()
        return Copied(reply, self.host.now_us, [forks.taken(shard) for shard in self.host.shards.values()])

    def types(self) -> list[dict[str, Any]]:
        """The documents of the types in force."""
        return [typefiles.to_document(shard.device_type) for shard in self.host.shards.values()]

    def check_install(self, device_type: DeviceType) -> None:
        """Refuse what an installation would refuse."""
        shard = self.host.shards.get(device_type.name)
        if shard is not None:
            shard.check_install(device_type)

    def read_twin(self, device_type: str, device_id: str) -> dict[str, Any]:
        """Everything that is known of one device; DeviceNotFoundError if it does not live here."""
        shard = self.host.shards.get(device_type)
        row = -1 if shard is None else shard.row_of(device_id)
        if shard is None or row < 0:
            raise DeviceNotFoundError(device_id)
        return views.twin(shard, row)

    def downlinks(self, device_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What is asked of those of these devices that live here, are reachable, and of which something is or was."""
        found: dict[str, dict[str, Any]] = {}
        for shard in self.host.shards.values():
            if len(shard.downlinks):
                rows = shard.roster.index.find(pa.array(device_ids, pa.string()))
                found.update(
                    (device_id, views.downlink(shard, row))
                    for device_id, row in zip(device_ids, rows.tolist(), strict=True)
                    if row >= 0 and shard.downlinks.of(row) != BLANK and not shard.device(row).retired
                )
        return found

    def downlinks_since(self, marks: Mapping[str, "Mark"]) -> "Changed":
        """What is asked of devices whose downlink has changed after ``marks``, which an answer before gave, by type.

        Marks are of one life of a shard: in another all of it has changed.
        """
        found: dict[str, dict[str, Any]] = {}
        reached: dict[str, Mark] = {}
        is_more = False
        for name, shard in self.host.shards.items():
            book, life = self._lives.get(name, (None, ""))
            if book is not shard.downlinks:
                book, life = self._lives[name] = shard.downlinks, secrets.token_hex(6)
            known = marks.get(name)
            since = known.at if known is not None and known.life == life else 0
            rows, at = book.changed_since(since, DOWNLINKS_AT_ONCE)
            found.update((shard.roster.index[row], views.downlink(shard, row)) for row in rows)
            reached[name] = Mark(life, at)
            is_more |= at < book.changes
        return Changed(found, reached, is_more)

    def live(self, device_type: str) -> pa.Table | None:
        shard = self.host.shards.get(device_type)
        return None if shard is None else views.live(shard)

    def alerts(self) -> pa.Table:
        tables = [views.standing_alerts(shard) for shard in self.host.shards.values()]
        return pa.concat_tables(tables) if tables else views.ALERTS.empty_table()

    def read_after(self, cursor: int, limit: int) -> list[StoredEntry]:
        return self.host.read_after(cursor, limit)

    def status(self) -> HostStatus:
        return self.host.status()

    def parents_now(self) -> list[tuple[str, int]]:
        """The state of every device that has children."""
        return [pair for name in self.host.shards for pair in self._states(name)]

    def _check_claimant(self, claimant: str) -> None:
        if claimant != self.host.claimant:
            raise SupersededError(self.host.name)

    def _committed(self) -> HostReply:
        commits = self.host.commit()
        events = [(name, each) for commit in commits for name, each in commit.events.items()]
        parents = [pair for name in self.host.shards for pair in self._news_for_children(name)]
        return HostReply(self.host.cursor, np.zeros(len(Fate), np.int64), None, events, parents)

    def _states(self, name: str, ids: Sequence[str] | None = None) -> list[tuple[str, int]]:
        shard = self.host.shards[name]
        rows, flags = shard.parent_states(ids=ids)
        return [
            (shard.roster.index[row], flag) for row, flag in zip(rows.tolist(), flags.tolist(), strict=True)
        ]

    def _news_for_children(
        self, name: str, touched: NDArray[np.int32] | None = None
    ) -> list[tuple[str, int]]:
        """Devices with children, among the rows ``touched`` (None: all), whose state is another than was last said.

        Compared with what was said rather than told by events: what a parent's state hides changes without one.
        """
        shard = self.host.shards[name]
        rows, flags = shard.parent_states(touched)
        shown = self._shown.get(name, np.zeros(0, np.uint8))
        if len(shown) < len(shard):
            shown = np.concatenate([shown, np.full(2 * len(shard) - len(shown), _UNSAID)])
            self._shown[name] = shown
        changed = shown[rows] != flags
        rows, flags = rows[changed], flags[changed]
        shown[rows] = flags
        return [
            (shard.roster.index[row], flag) for row, flag in zip(rows.tolist(), flags.tolist(), strict=True)
        ]


def scorable(shard: Shard, first: int, most: int, with_ids: bool) -> Scorable | None:
    """Devices among ``most`` rows of a shard from ``first`` on that live and were heard; None: it has no such rows."""
    if first >= len(shard):
        return None
    end = min(len(shard), first + most)
    core = shard.state.core
    lives = core.status[first:end] & (RETIRED | IMPORTING) == 0
    rows = first + np.flatnonzero(lives & (core.event_us[first:end] != NEVER_US)).astype(np.int32)
    ids = shard.roster.index.ids(first).take(pa.array(rows - first)) if with_ids else None
    return _scorable(shard, rows, end, ids)


def _scorable(shard: Shard, rows: NDArray[np.int32], end: int, ids: pa.StringArray | None) -> Scorable:
    return Scorable(
        seal=shard.roster.seal(),
        end=end,
        rows=rows,
        life_cycle=shard.state.core.life_cycle[rows],
        event_us=shard.state.core.event_us[rows],
        known=covariates(shard.state, rows),
        said=chosen(shard.state.prognoses, rows),
        ids=ids,
    )


def joined(pieces: Sequence[HostReply], cursor: int) -> HostReply:
    """The reply to a batch from the replies to its pieces, in order."""
    if len(pieces) == 1:
        return pieces[0]
    results = None
    if pieces and pieces[0].results is not None:
        results = LineResults.join([piece.results for piece in pieces if piece.results is not None])
    return HostReply(
        cursor=cursor,
        counts=sum((piece.counts for piece in pieces), np.zeros(len(Fate), np.int64)),
        results=results,
        events=[each for piece in pieces for each in piece.events],
        parents=list({name: flags for piece in pieces for name, flags in piece.parents}.items()),
    )
