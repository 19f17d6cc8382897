"""The fleet: one door for readings and commands, one handle for each twin, wherever the shards live.

``Fleet`` routes: it has a directory, cuts batches by host, passes the state of parents on to their children. Where the hosts
are, and who owns the membership, is a subclass's business: ``LocalFleet`` keeps both in this process, ``actors.RayFleet`` in
Ray actors, so that its directory is a copy, which it brings up to date when it meets what it does not know. Both keep the
same contract, and the same tests hold them to it.
"""

import asyncio
import contextlib
import itertools
import logging
import secrets
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twins import commands as c
from twins import typefiles
from twins.clock import Clock, WallClock
from twins.devices import Device, DeviceType
from twins.directory import Directory, Places
from twins.errors import (
    DegradedError,
    DeviceNotFoundError,
    DeviceTypeNotFoundError,
    FleetError,
    StaleDirectoryError,
    StorageFullError,
)
from twins.events import EventBatch
from twins.fleetfiles import Climate
from twins.host import HostConfig, HostStatus, ShardHost
from twins.journal import StoredEntry
from twins.kernels import LineResults, line_results
from twins.membership import REGISTER_CHUNK, Call, Changes, Hosts, Membership, entrants
from twins.prognosis import Prognoses
from twins.readings import Fate, ReadingBatch, ShardBatch, all_present, rounded
from twins.service import COMMANDS_AT_ONCE, Copied, HostReply, HostService, Mark, Scorable
from twins.silence import DeclareSilent
from twins.whatif import forks
from twins.whatif.forks import Fork

Step = list[Call] | Callable[[], Any]
"""Calls to make of hosts, or something to learn first; either may take its time."""

Writing = Generator[Step, Any, list["WriteResult"]]
"""A write that is under way: it says what to do next, is sent what came of it, and ends with what became of its batches."""

REFUSALS_TOLD: Final = 100
"""Refused lines of a batch that are told one by one; all are counted."""

NOT_FOUND: Final = "device.not_found"
OTHER_TYPE: Final = "device.other_type"
NOT_SURE: Final = DegradedError.code
NO_ROOM: Final = StorageFullError.code
"""Why a line was refused: no such device; it is of another type; its host is away at present, or has no room on its disk."""

AGAIN: Final = frozenset({NOT_SURE, NO_ROOM})
"""Of these, for what a line should be sent again."""

_ROUTES_KEPT: Final = 64
_REROUTES: Final = 2
_STATUS_WITHIN_S: Final = 1.0

_log = logging.getLogger("twinfold.fleet")


@dataclass(frozen=True, slots=True)
class FleetConfig:
    """How many hosts a fleet has and how full one may get before another is added."""

    hosts: int = 1
    twins_per_host: int = 500_000
    host: HostConfig = field(default_factory=HostConfig)


@dataclass(frozen=True, slots=True, eq=False)
class WriteResult:
    """What became of a batch, all of it durable.

    Attributes
    ----------
    fates : lines by Fate name
    refused : (line, device id, code) of lines that no twin took, the first hundred; see ``NOT_FOUND``
    refused_total : how many lines no twin took
    cursors : the newest entry of each host that was written, by host number
    results : per line of the batch, if it was traced
    events : by device type and host, if it was traced
    """

    fates: Mapping[str, int]
    refused: Sequence[tuple[int, str, str]]
    refused_total: int
    cursors: Mapping[int, int]
    results: LineResults | None = None
    events: Sequence[tuple[int, str, EventBatch]] = ()


@dataclass(frozen=True, slots=True, eq=False)
class CommandsResult:
    """What became of several commands: the newest entry of each host that was written, and why each was refused, or None."""

    cursors: Mapping[int, int]
    refused: Sequence[FleetError | None]


class Twin:
    """A handle on one device's twin. It holds nothing: every call asks the shard."""

    def __init__(self, fleet: "Fleet", device_id: str) -> None:
        self._fleet = fleet
        self.device_id = device_id

    def state(self) -> dict[str, Any]:
        """Everything the twin knows, as JSON values."""
        return self._fleet.read_twin(self.device_id)

    def health(self) -> float | None:
        """0 to 100; None while too little has been seen to say."""
        value: float | None = self.state()["health"]
        return value

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that stand."""
        alerts: list[dict[str, Any]] = self.state()["alerts"]
        return alerts

    def __repr__(self) -> str:
        return f"Twin({self.device_id!r})"


class Fleet(ABC):
    """A fleet of twins.

    Parameters
    ----------
    hosts : where the shards live
    config : hosts and tolerances
    clock : what time it is; a virtual one for replays and tests

    Attributes
    ----------
    directory, types : who is where and what there is, as far as this process knows; ``locate`` and ``find`` ask for more
    """

    def __init__(self, hosts: Hosts, config: FleetConfig | None = None, clock: Clock | None = None) -> None:
        self.config = config or FleetConfig()
        self.clock = clock or WallClock()
        self.directory = Directory()
        self.types: dict[str, DeviceType] = {}
        self._hosts = hosts
        self._is_whole = True  # no device is unknown because its host is away
        self._routes: OrderedDict[int, tuple[Any, Places]] = OrderedDict()
        self._lock = threading.Lock()  # of the remembered routes
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    # -- types and devices -----------------------------------------------------------------------------------------

    @abstractmethod
    def install(
        self, device_type: DeviceType, by: str = "system", command_id: str | None = None
    ) -> dict[int, int]:
        """Put a device type, or a newer version of it, in force on every host; all of them take it, or none.

        Raises
        ------
        CommandRefusedError : a version with other channels, while there are devices.
        """

    def check_install(self, device_type: DeviceType) -> None:
        """Refuse what ``install`` would refuse; changes nothing."""
        self._call([(host, "check_install", (device_type,)) for host in self.hosts()])

    def learn_types(self, host: int) -> None:
        """Learn the types that a host has in force: somebody else may have installed one."""
        (documents,) = self._call([(host, "types", ())])
        found = [typefiles.from_document(document) for document in documents]
        self.types = {**self.types, **{device_type.name: device_type for device_type in found}}

    @abstractmethod
    def register(
        self, devices: Sequence[Device], by: str = "system", command_id: str | None = None
    ) -> dict[int, int]:
        """Give each device a twin; returns the newest cursor of each host that was written.

        Asked again with the same ``command_id`` and list, it finishes what was broken off and repeats nothing.

        Raises
        ------
        DeviceTypeNotFoundError, DeviceExistsError, CommandRefusedError : nothing of the list was registered.
        DegradedError : a part may have been; ask again with the same ``command_id``.
        """

    @abstractmethod
    def change(self, command: c.UpdateDevice) -> dict[int, int]:
        """What ``update`` does, as a command."""

    def update(self, device: Device, by: str = "system") -> None:
        """Change what is said of a device: site, parent, name, labels."""
        self.change(c.UpdateDevice(command_id=self.command_id(), by=by, device=device))

    def retire(self, device_id: str, by: str = "system") -> None:
        """Take a device out of the living fleet."""
        self.command(c.RetireDevice(command_id=self.command_id(), by=by, device_id=device_id))

    @abstractmethod
    def refresh(self) -> None:
        """Learn what others changed since: devices, types, hosts."""

    @abstractmethod
    def relearn(self) -> None:
        """Forget who is where and learn it anew: a shard has other devices than this process knows."""

    def locate(self, ids: pa.StringArray) -> Places:
        """Where devices are. Those that are not known are asked for before they count as unknown."""
        return self._located(ids)[1]

    def locate_known(self, ids: pa.StringArray) -> Places | None:
        """Where devices are, if all of them are known; it takes no time. None: only ``locate`` can say."""
        places = self.directory.locate(ids)
        return None if (places.host < 0).any() else places

    def find(self, device_id: str) -> tuple[int, str, int] | None:
        """Host, device type and row of one device, asked for as in ``locate``; None if it is not in the fleet."""
        found = self.directory.locate_one(device_id)
        if found is None:
            self.refresh()
            found = self.directory.locate_one(device_id)
        return found

    def end_import(self, device_ids: Sequence[str], retired: bool, by: str = "system") -> None:
        """Let devices whose past has been told begin to live, or retire them; others stay as they are."""
        self._at_home(
            device_ids,
            lambda mine: c.EndImport(command_id=self.command_id(), by=by, device_ids=mine, retired=retired),
        )

    def declare_silent(self, device_ids: Sequence[str], reason: str, by: str = "system") -> None:
        """Take the word of who speaks for devices that they are gone: STALE at once. Unknown ids are left out."""
        self._at_home(
            device_ids,
            lambda mine: DeclareSilent(command_id=self.command_id(), by=by, device_ids=mine, reason=reason),
        )

    def _at_home(self, device_ids: Sequence[str], command: Callable[[tuple[str, ...]], c.Command]) -> None:
        """Give hosts a command about those of the devices that live there, a bounded number at a time."""
        ids = pa.array(device_ids, pa.string())
        home = self.locate(ids).host
        for start in range(0, len(ids), REGISTER_CHUNK):
            part = home[start : start + REGISTER_CHUNK]
            for host in np.unique(part[part >= 0]).tolist():
                mine = tuple(device_ids[start + at] for at in np.flatnonzero(part == host).tolist())
                self._call([(host, "command", (command(mine), self.clock.now_us()))])

    # -- readings and commands -------------------------------------------------------------------------------------

    def write(
        self, batch: ReadingBatch, *, now_us: int | None = None, trace: bool = False, partly: bool = False
    ) -> WriteResult:
        """Take readings in; returns when they are durable. One bad line never costs another.

        With ``partly``, nor does one host that is away or full: its lines are refused one by one, with a code of ``AGAIN``,
        as long as another host took its own.

        Raises
        ------
        DeviceTypeNotFoundError, ReadingError : the batch as a whole makes no sense.
        OverloadedError, DegradedError : nothing, or only the part of other hosts, was taken; sending again is safe.
        """
        (result,) = self.write_many([batch], now_us=now_us, trace=trace, partly=partly)
        return result

    def write_many(
        self,
        batches: Sequence[ReadingBatch],
        *,
        now_us: int | None = None,
        trace: bool = False,
        partly: bool = False,
    ) -> list[WriteResult]:
        """Take several batches in, of any types, the hosts working side by side; ``partly`` and errors as in ``write``."""
        writing = self._writing(batches, now_us, trace, partly)
        step, written = _next(writing, None)
        while written is None:
            step, written = _next(writing, step() if callable(step) else self._hosts.ask(step))
        return written

    async def write_many_async(
        self, batches: Sequence[ReadingBatch], *, trace: bool = False, partly: bool = False
    ) -> list[WriteResult]:
        """What ``write_many`` does, from an event loop: it goes on while hosts work."""
        writing = self._writing(batches, None, trace, partly)
        step, written = _next(writing, None)
        while written is None:
            asked = asyncio.to_thread(step) if callable(step) else self._hosts.ask_async(step)
            step, written = _next(writing, await asked)
        return written

    def _writing(
        self, batches: Sequence[ReadingBatch], now_us: int | None, trace: bool, partly: bool
    ) -> Writing:
        """How batches are written, step by step; whoever runs it takes each step and sends what came of it."""
        now_us = self.clock.now_us() if now_us is None else now_us
        deliveries = [_Delivery() for _ in batches]
        todo: list[tuple[int, Lines]] = [(number, slice(None)) for number in range(len(batches))]
        failed: Exception | None = None
        lost: list[tuple[int, _Part, DegradedError]] = []
        for attempt in range(_REROUTES + 1):
            sent: list[tuple[int, _Part]] = []
            for number, lines in todo:
                batch = batches[number]
                known = self._places(batch.ids)
                if (known[1].host < 0).any():
                    known = yield partial(self._located, batch.ids)
                if batch.device_type not in self.types:
                    yield self.refresh
                parts = self._route(batch, lines, deliveries[number], *known)
                sent += [(number, part) for part in parts]
            calls: list[Call] = [
                (part.host, "write", (batches[number].device_type, part.batch, now_us, trace))
                for number, part in sent
            ]
            todo = []
            for (number, part), reply in zip(sent, (yield calls), strict=True):
                if isinstance(reply, StaleDirectoryError) and attempt < _REROUTES:
                    todo.append((number, part.lines))
                elif partly and isinstance(reply, DegradedError):
                    lost.append((number, part, reply))
                elif isinstance(reply, Exception):
                    failed = failed or reply
                else:
                    deliveries[number].taken.append((part, reply))
            if not todo:
                break
            yield self.relearn
        if failed is None and lost and not any(delivery.taken for delivery in deliveries):
            failed = lost[0][2]
        if failed is not None:
            raise failed
        for number, part, error in lost:
            lines = np.arange(len(batches[number]))[part.lines]
            code = error.code if error.code in AGAIN else NOT_SURE
            deliveries[number].refused.append((lines, np.full(len(lines), code)))
        return [
            self._gather(batch, delivery, trace) for batch, delivery in zip(batches, deliveries, strict=True)
        ]

    def command(self, command: c.Command) -> dict[int, int]:
        """Do what is asked; returns, when it is durable, the cursor of each host it touched.

        Raises
        ------
        DeviceNotFoundError, CommandRefusedError and its leaves : nothing was changed.
        """
        match command:
            case c.SetParentState():
                return self._everywhere(command)
            case c.InstallType():
                device_type = typefiles.from_document(command.document)
                return self.install(device_type, command.by, command.command_id)
            case c.RegisterDevices():
                return self.register(command.devices, command.by, command.command_id)
            case c.UpdateDevice():
                return self.change(command)
        device_id = getattr(command, "device_id", "")
        host, reply = self._ask_at_home(device_id, "command", lambda _: (command, self.clock.now_us()))
        return {host: reply.cursor}

    def command_many(
        self,
        commands: Sequence[c.AlertCommand | c.RecordMaintenance | c.RetireDevice | c.DownlinkCommand],
    ) -> "CommandsResult":
        """Do several things that are asked of devices, many in one commit; one that is refused costs no other.

        All that is not refused is durable when this returns. Asking again under the same command ids repeats nothing.
        """
        ids = pa.array([command.device_id for command in commands], pa.string())
        host = self.locate(ids).host
        refused: list[FleetError | None] = [
            self._absent(command.device_id) if host[at] < 0 else None for at, command in enumerate(commands)
        ]
        cursors: dict[int, int] = {}
        queues = {number: np.flatnonzero(host == number) for number in np.unique(host[host >= 0]).tolist()}
        for start in range(0, max(map(len, queues.values()), default=0), COMMANDS_AT_ONCE):
            parts = [(number, queue[start : start + COMMANDS_AT_ONCE]) for number, queue in queues.items()]
            parts = [(number, part) for number, part in parts if len(part)]
            now_us = self.clock.now_us()
            calls: list[Call] = [
                (number, "commands", ([commands[at] for at in part.tolist()], now_us))
                for number, part in parts
            ]
            for (number, part), reply in zip(parts, self._hosts.ask(calls), strict=True):
                if isinstance(reply, Exception) and not isinstance(reply, FleetError):
                    raise reply
                told = [reply] * len(part) if isinstance(reply, FleetError) else reply.refused
                if isinstance(reply, HostReply):
                    cursors[number] = reply.cursor
                for at, why in zip(part.tolist(), told, strict=True):
                    refused[at] = why
        return CommandsResult(cursors, refused)

    def score(self, host: int, told: Prognoses) -> int:
        """Keep forecasts of devices of one host; durable when this returns. Gives the host's newest cursor.

        Raises
        ------
        StaleDirectoryError : the host's rows are others by now; read its devices again.
        DegradedError, OverloadedError : nothing was kept.
        """
        (reply,) = self._call([(host, "score", (told, self.clock.now_us()))])
        return int(reply.cursor)

    def advance(self, now_us: int | None = None) -> None:
        """Let time pass everywhere: silence is noticed, shelves run out."""
        now_us = self.clock.now_us() if now_us is None else now_us
        self._call([(host, "tick", (now_us,)) for host in self.hosts()])

    # -- reading ---------------------------------------------------------------------------------------------------

    def twin(self, device_id: str) -> Twin:
        """A handle; DeviceNotFoundError if there is no such device, DegradedError if nobody knows at present."""
        if self.find(device_id) is None:
            raise self._absent(device_id)
        return Twin(self, device_id)

    def read_twin(self, device_id: str) -> dict[str, Any]:
        """Everything the shard knows of one device, as JSON values."""
        result: dict[str, Any]
        _, result = self._ask_at_home(device_id, "read_twin", lambda device_type: (device_type, device_id))
        return result

    def scorable(
        self, host: int, device_type: str, first: int, most: int, with_ids: bool = False
    ) -> Scorable | None:
        """What a scorer needs to know of devices in ``most`` rows of a host's shard; None: there are none from there on."""
        (found,) = self._call([(host, "scorable", (device_type, first, most, with_ids))])
        answer: Scorable | None = found
        return answer

    def scorable_one(self, device_id: str) -> Scorable:
        """The same of one device."""
        _, found = self._ask_at_home(device_id, "scorable_one", lambda device_type: (device_type, device_id))
        answer: Scorable = found
        return answer

    def fork(self, devices: str = "", climates: Mapping[str, Climate] | None = None) -> Fork:
        """All twins that live, or those that a filter takes in, copied whole as of one moment.

        Nothing that a fork does leads back here. The moment is in every journal, so the same can be forked from the past.

        Raises
        ------
        FilterError : with the column, and what to write instead.
        DegradedError : a host is away.
        """
        at_us = self.clock.now_us() + self._hosts.fork_lead_us
        while True:
            copied: list[Copied] = self._call([(host, "fork", (at_us,)) for host in self.hosts()])
            latest_us = max(each.at_us for each in copied)
            if latest_us == at_us:
                break
            at_us = latest_us + self._hosts.fork_lead_us  # a host was ahead of this clock
        cursors = {str(host): each.reply.cursor for host, each in zip(self.hosts(), copied, strict=True)}
        lineage = {"start": "live", "at_us": at_us, "cursors": cursors}
        parts = [part for each in copied for part in each.shards]
        return forks.joined(parts, at_us, devices=devices, climates=climates, lineage=lineage)

    def downlinks(self, device_ids: Sequence[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """What is asked of devices that something is or was asked of, by id, as ``views.downlink`` has it.

        Also those of which it is not known at present, since their host is away.
        """
        places = self.locate(pa.array(device_ids, pa.string()))
        groups: dict[int, list[str]] = {}
        away: list[str] = []
        for device_id, host in zip(device_ids, places.host.tolist(), strict=True):
            if host >= 0:
                groups.setdefault(host, []).append(device_id)
            elif not places.is_sure:
                away.append(device_id)
        calls: list[Call] = [(host, "downlinks", (ids,)) for host, ids in groups.items()]
        answers = _raised(self._hosts.ask(calls), DegradedError)
        found: dict[str, dict[str, Any]] = {}
        for ids, answer in zip(groups.values(), answers, strict=True):
            if isinstance(answer, DegradedError):
                away += ids
            else:
                found.update(answer)
        return found, away

    def downlinks_since(
        self, marks: Mapping[int, Mapping[str, Mark]]
    ) -> tuple[dict[str, dict[str, Any]], dict[int, Mapping[str, Mark]], bool]:
        """What is asked of devices for which that has changed since ``marks``, new marks, and whether there is more.

        Nothing known: all of it. A host that is away keeps its mark.
        """
        hosts = self.hosts()
        calls: list[Call] = [(host, "downlinks_since", (marks.get(host, {}),)) for host in hosts]
        found: dict[str, dict[str, Any]] = {}
        reached, is_more = dict(marks), False
        for host, answer in zip(hosts, _raised(self._hosts.ask(calls), DegradedError), strict=True):
            if not isinstance(answer, DegradedError):
                found.update(answer.asked)
                reached[host] = answer.marks
                is_more |= answer.is_more
        return found, reached, is_more

    def live(self, device_type: str) -> pa.Table:
        """One line a device of this type: what it is, how it is, its latest values. A copy of this moment."""
        if device_type not in self.types:
            raise DeviceTypeNotFoundError(device_type, tuple(sorted(self.types)))
        tables = self._call([(host, "live", (device_type,)) for host in self.hosts()])
        return pa.concat_tables(table for table in tables if table is not None).unify_dictionaries()

    def alerts(self) -> pa.Table:
        """The alerts that stand, of all types."""
        return pa.concat_tables(
            self._call([(host, "alerts", ()) for host in self.hosts()])
        ).unify_dictionaries()

    def read_after(self, host: int, cursor: int, limit: int = 256) -> list[StoredEntry]:
        """Journal entries of one host that follow ``cursor``."""
        (page,) = self._call([(host, "read_after", (cursor, limit))])
        entries: list[StoredEntry] = page
        return entries

    def status(self) -> list[HostStatus]:
        """What each host says of itself; one that does not answer in time is ``away``, for the reason given."""
        hosts = self.hosts()
        answers = self._hosts.ask([(host, "status", ()) for host in hosts], _STATUS_WITHIN_S)
        return [
            self._away(host, answer) if isinstance(answer, DegradedError) else answer
            for host, answer in zip(hosts, _raised(answers, DegradedError), strict=True)
        ]

    def hosts(self) -> list[int]:
        """The numbers of all hosts."""
        return self._hosts.numbers()

    def command_id(self) -> str:
        """An id for a command of this process's own."""
        return f"{self._prefix}-{next(self._numbers)}"

    def _take(self, changes: Changes) -> None:
        """Bring this process's copy of the membership up to date; a map of another life takes the place of this one."""
        directory = self.directory
        if changes.types is not None:
            self.types = changes.types
        if changes.part.life != directory.life:
            directory = Directory(changes.part.life)
        directory.extend(changes.part)
        self.directory, self._is_whole = directory, changes.is_whole

    # -- inside ----------------------------------------------------------------------------------------------------

    def _call(self, calls: Sequence[Call]) -> list[Any]:
        """Call hosts side by side; the first error is raised after all calls have ended."""
        return _raised(self._hosts.ask(calls))

    def _away(self, host: int, why: DegradedError) -> HostStatus:
        return HostStatus(
            name=f"host-{host:03d}", state="away", reason=why.reason, devices=self.directory.devices_on(host),
            cursor=0, archived=0, snapshot_cursor=0, journal_bytes=0, damage=[],
        )  # fmt: skip

    def _ask_at_home(
        self, device_id: str, method: str, arguments: Callable[[str], tuple[Any, ...]]
    ) -> tuple[int, Any]:
        """Call the host where a device lives, with the arguments for its type; gives the host and its answer.

        If the device turns out not to live there, where it lives is learned anew.
        """
        for is_last in (False, True):
            found = self.find(device_id)
            if found is None:
                break
            host, device_type, _ = found
            (answer,) = self._hosts.ask([(host, method, arguments(device_type))])
            if isinstance(answer, DeviceNotFoundError) and not is_last:
                self.relearn()
            elif isinstance(answer, Exception):
                raise answer
            else:
                return host, answer
        raise self._absent(device_id)

    def _absent(self, device_id: str) -> FleetError:
        """Why a device is not found."""
        if self._is_whole:
            return DeviceNotFoundError(device_id)
        return DegradedError(f"a host that may hold {device_id!r} is away, and nobody else knows of it")

    def _everywhere(self, command: c.Command) -> dict[int, int]:
        now_us, hosts = self.clock.now_us(), self.hosts()
        replies = self._call([(host, "command", (command, now_us)) for host in hosts])
        return {host: reply.cursor for host, reply in zip(hosts, replies, strict=True)}

    def _located(self, ids: pa.StringArray) -> tuple[Directory, Places]:
        """Where ``ids`` live, and the directory that says so."""
        directory, places = self._places(ids)
        if (places.host < 0).any():
            try:
                self.refresh()
            except DegradedError as error:
                _log.info("unknown devices cannot be asked for: %s", error)
                return directory, replace(places, is_sure=False)
            directory, places = self._places(ids)
            if not self._is_whole and (places.host < 0).any():
                places = replace(places, is_sure=False)
        return directory, places

    def _places(self, ids: pa.StringArray) -> tuple[Directory, Places]:
        """Remembered for arrays that come again, as a gateway's or the simulator's do."""
        key, directory = id(ids), self.directory
        with self._lock:
            hit = self._routes.get(key)
            if hit is not None and hit[0] is ids and hit[1].version == directory.version:
                self._routes.move_to_end(key)
                return directory, hit[1]
        places = directory.locate(ids)
        with self._lock:
            self._routes[key] = (ids, places)
            while len(self._routes) > _ROUTES_KEPT:
                self._routes.popitem(last=False)
        return directory, places

    def _route(
        self,
        batch: ReadingBatch,
        lines: "Lines",
        delivery: "_Delivery",
        directory: Directory,
        places: Places,
    ) -> "list[_Part]":
        """Round a batch's values and cut these of its lines by host; ``delivery`` gets those that go nowhere."""
        device_type = self.types.get(batch.device_type)
        if device_type is None:
            raise DeviceTypeNotFoundError(batch.device_type, tuple(sorted(self.types)))
        values = rounded(batch.values[lines], device_type)
        index, event_us = batch.index[lines], batch.event_us[lines]
        if batch.present is None:
            present = np.full(len(index), all_present(len(device_type.channels)))
        else:
            present = batch.present[lines]
        type_code = directory.types.index(batch.device_type) if batch.device_type in directory.types else -2
        host_of, rows = places.host[index], places.row[index]
        taken = places.type_code[index] == type_code
        parts = []
        for host in np.unique(host_of[taken]).tolist():
            mine = taken & (host_of == host)
            chosen: Lines = slice(None) if mine.all() else np.flatnonzero(mine)
            part = ShardBatch(
                rows[chosen],
                event_us[chosen],
                values[chosen],
                present[chosen],
                directory.seal(host, batch.device_type),
            )
            parts.append(_Part(host, _within(lines, chosen), part))
        if not taken.all():
            unknown = NOT_FOUND if places.is_sure else NOT_SURE
            codes = np.where(host_of[~taken] < 0, unknown, OTHER_TYPE)
            delivery.refused.append((_within(lines, np.flatnonzero(~taken)), codes))
        return parts

    def _gather(self, batch: ReadingBatch, delivery: "_Delivery", trace: bool) -> WriteResult:
        counts = np.zeros(len(Fate), np.int64)
        results = line_results(len(batch)) if trace else None
        events: list[tuple[int, str, EventBatch]] = []
        for part, reply in delivery.taken:
            counts += reply.counts
            if results is not None and reply.results is not None:
                columns: Iterable[tuple[NDArray[Any], NDArray[Any]]] = zip(
                    results, reply.results, strict=True
                )
                for whole, share in columns:
                    whole[part.lines] = share
                events += [(part.host, name, each) for name, each in reply.events]
        refused = np.concatenate([np.zeros(0, np.intp), *(lines for lines, _ in delivery.refused)])
        codes = [code for _, codes in delivery.refused for code in codes[:REFUSALS_TOLD].tolist()]
        if results is not None:
            results.fate[refused] = Fate.EMPTY
        return WriteResult(
            fates={fate.name.lower(): int(counts[fate]) for fate in Fate if counts[fate]},
            refused=[
                (line, batch.ids[int(batch.index[line])].as_py(), code)
                for line, code in zip(refused[:REFUSALS_TOLD].tolist(), codes, strict=False)
            ],
            refused_total=len(refused),
            cursors={part.host: reply.cursor for part, reply in delivery.taken},
            results=results,
            events=events,
        )


def _next(writing: Writing, came: Any) -> tuple[Step, list[WriteResult] | None]:
    """The next step of a write that is sent what ``came`` of the last; with the end, what became of its batches."""
    try:
        return writing.send(came), None
    except StopIteration as ended:
        return [], ended.value


def _raised(answers: list[Any], told: type[Exception] | tuple[()] = ()) -> list[Any]:
    """The answers, if none is an error but such as are ``told``; else the first is raised."""
    for answer in answers:
        if isinstance(answer, Exception) and not isinstance(answer, told):
            raise answer
    return answers


Lines = NDArray[np.intp] | slice
"""Lines of a batch: positions, or all of them."""


def _within(lines: Lines, chosen: Lines) -> Any:
    """The positions in the batch of those ``chosen`` among ``lines``."""
    if isinstance(lines, slice):
        return chosen
    return lines[chosen]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The lines of a batch that go to one host."""

    host: int
    lines: Lines
    batch: ShardBatch


@dataclass(slots=True, eq=False)
class _Delivery:
    """What became of a batch: the parts that hosts took, with their replies, and lines that none has a twin for."""

    taken: list[tuple[_Part, HostReply]] = field(default_factory=list)
    refused: list[tuple[NDArray[np.intp], NDArray[np.str_]]] = field(default_factory=list)  # lines, codes


class LocalHosts:
    """The hosts of a fleet in this process.

    Parameters
    ----------
    folder : where journals and snapshots lie; None keeps everything in memory only
    config : of each
    """

    def __init__(self, folder: Path | None, config: HostConfig, clock: Clock) -> None:
        self.fork_lead_us = 0
        self.services: list[HostService] = []
        self._folder = folder
        self._config = config
        self._clock = clock
        self._told = itertools.count(1)
        self._name = secrets.token_hex(6)
        self._untold: dict[str, int] = {}  # parents' states that not every host has heard
        self.still = threading.RLock()  # who holds it sees hosts that nobody changes meanwhile

    def numbers(self) -> list[int]:
        return list(range(len(self.services)))

    def start(self, number: int) -> None:
        """Open hosts up to ``number``."""
        while len(self.services) <= number:
            name = f"host-{len(self.services):03d}"
            host = ShardHost(name, self._folder / name if self._folder is not None else None, self._config)
            host.open()
            self.services.append(HostService(host))

    def ask(self, calls: Sequence[Call], patience_s: float | None = None) -> list[Any]:
        """Call one after the other; every host gets its call. Children are told what the answers say of their parents."""
        with self.still:
            answers = self._asked(calls)
            self._untold.update(_news(answers))
            self._tell_children()
        return answers

    async def ask_async(self, calls: Sequence[Call]) -> list[Any]:
        return await asyncio.to_thread(self.ask, calls)

    def retell(self) -> None:
        """Tell children how their parents are: whoever ended before they had heard did not."""
        for service in self.services:
            self._untold.update(service.parents_now())
        self._tell_children()

    def _asked(self, calls: Sequence[Call]) -> list[Any]:
        answers: list[Any] = []
        for number, method, arguments in calls:
            service = self.services[number]
            try:
                answers.append(getattr(service, method)(*arguments))
            except Exception as error:
                answers.append(error)
            self._snapshot_if_due(service.host)
        return answers

    def _tell_children(self) -> None:
        """Tell every host what is untold, and what their answers say; what cannot be told now is told later.

        It ends: what a device tells depends on its own alerts and silence alone, not on what it is told.
        """
        later: dict[str, int] = {}
        while self._untold:
            parent_id = next(iter(self._untold))
            flags = self._untold.pop(parent_id)
            command_id = f"{self._name}-{next(self._told)}"
            command = c.SetParentState(command_id=command_id, by="system", parent_id=parent_id, flags=flags)
            now_us = self._clock.now_us()
            answers = self._asked([(number, "command", (command, now_us)) for number in self.numbers()])
            failed = [answer for answer in answers if isinstance(answer, Exception)]
            later.pop(parent_id, None)
            if failed:
                _log.info("children of %s are told later: %s", parent_id, failed[0])
                later[parent_id] = flags
            self._untold.update(_news(answers))  # to be told is to hear the time, which may be news in turn
        self._untold = later

    def is_alone(self) -> bool:
        return True

    def _snapshot_if_due(self, host: ShardHost) -> None:
        if host.snapshot_due and (write := host.begin_snapshot()) is not None:
            try:
                write()
            except (OSError, FleetError) as error:  # what was asked is durable; the next call tries again
                _log.warning("%s: no snapshot was written: %s", host.name, error)


class LocalFleet(Fleet):
    """The same fleet in one process: for tests, notebooks, replays and forks.

    Parameters
    ----------
    folder : where journals and snapshots lie; None keeps everything in memory only
    config, clock : as for ``Fleet``
    """

    def __init__(
        self, folder: Path | None = None, config: FleetConfig | None = None, clock: Clock | None = None
    ) -> None:
        config, clock = config or FleetConfig(), clock or WallClock()
        local = self._local = LocalHosts(folder, config.host, clock)
        super().__init__(local, config, clock)
        self.folder = folder
        existing = sorted(folder.glob("host-*")) if folder is not None and folder.is_dir() else []
        local.start(max([config.hosts, *(int(each.name.removeprefix("host-")) + 1 for each in existing)]) - 1)
        self._membership = Membership(local, config.twins_per_host, clock)
        with contextlib.suppress(DegradedError):  # a state to be seen, no reason to keep the other hosts away
            self._membership.learn()
        self.refresh()
        local.retell()

    def close(self) -> None:
        """Snapshot and let go of the journals."""
        for service in self._local.services:
            service.host.close()

    def __enter__(self) -> "LocalFleet":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def still(self) -> contextlib.AbstractContextManager[Any]:
        """For as long as it is entered nothing changes."""
        return self._local.still

    def shard_hosts(self) -> list[ShardHost]:
        """The hosts themselves, for a recorder in this process, and for tests."""
        return [service.host for service in self._local.services]

    def install(
        self, device_type: DeviceType, by: str = "system", command_id: str | None = None
    ) -> dict[int, int]:
        try:
            return self._membership.install(device_type, by, command_id or self.command_id())
        finally:
            self.refresh()

    def register(
        self, devices: Sequence[Device], by: str = "system", command_id: str | None = None
    ) -> dict[int, int]:
        try:
            return self._membership.register(entrants(devices), by, command_id or self.command_id())
        finally:
            self.refresh()

    def change(self, command: c.UpdateDevice) -> dict[int, int]:
        return self._membership.update(command)

    def refresh(self) -> None:
        """The map is the owner's own."""
        if not self._membership.is_whole:
            with contextlib.suppress(DegradedError):
                self._membership.learn()
        self.directory, self.types = self._membership.directory, self._membership.types
        self._is_whole = self._membership.is_whole

    def relearn(self) -> None:
        self._membership.learn()
        self.refresh()


def _news(answers: Sequence[Any]) -> dict[str, int]:
    """The states of parents in answers of hosts."""
    replies = [answer.reply if isinstance(answer, Copied) else answer for answer in answers]
    return {
        parent_id: flags
        for reply in replies
        if isinstance(reply, HostReply)
        for parent_id, flags in reply.parents
    }
