"""The fleet: one door for readings and commands, one handle for each twin, wherever the shards live.

``Fleet`` routes: it knows the directory, cuts batches by host, passes the state of parents on to their children. Where the
hosts are is a subclass's business: ``LocalFleet`` keeps them in this process, ``actors.RayFleet`` in Ray actors. Both keep
the same contract, and the same tests hold them to it.
"""

import itertools
import logging
import secrets
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twins import commands as c
from twins import typefiles
from twins.clock import Clock, WallClock
from twins.devices import Device, DeviceType
from twins.directory import MAX_ID_BYTES, Directory, Places
from twins.errors import (
    CommandRefusedError,
    DeviceExistsError,
    DeviceNotFoundError,
    DeviceTypeNotFoundError,
    FleetError,
)
from twins.events import EventBatch
from twins.host import HostConfig, HostStatus, ShardHost
from twins.journal import StoredEntry
from twins.kernels import LineResults, line_results
from twins.readings import Fate, ReadingBatch, ShardBatch, all_present, rounded
from twins.service import HostReply, HostService

REGISTER_CHUNK: Final = 20_000
"""Devices that one command registers at most, so that no host is held for long."""

REFUSALS_TOLD: Final = 100
"""Refused lines of a batch that are told one by one; all are counted."""

_ROUTES_KEPT: Final = 64

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
    refused : (line, device id, code) of lines that no twin took, the first hundred
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
    config : hosts and tolerances
    clock : what time it is; a virtual one for replays and tests
    """

    def __init__(self, config: FleetConfig | None = None, clock: Clock | None = None) -> None:
        self.config = config or FleetConfig()
        self.clock = clock or WallClock()
        self.directory = Directory()
        self.types: dict[str, DeviceType] = {}
        self._routes: OrderedDict[int, tuple[Any, Places]] = OrderedDict()
        self._load: list[int] = []
        self._lock = threading.RLock()  # of the directory: one registers, many look up
        self._dedicated: set[int] = set()
        self._awaited: set[str] = set()  # parents that were named and are not registered yet
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    # -- where the hosts are ---------------------------------------------------------------------------------------

    @abstractmethod
    def _call(self, calls: Sequence[tuple[int, str, tuple[Any, ...]]]) -> list[Any]:
        """Call methods of ``HostService`` on hosts, in parallel where that can be; results in the order of ``calls``.

        The first error is raised after all calls have ended. Children are told what the replies say of their parents.
        """

    @abstractmethod
    def _add_host(self, dedicated: bool) -> int:
        """Bring another host up, with every installed type; gives its number."""

    # -- types and devices -----------------------------------------------------------------------------------------

    def install(self, device_type: DeviceType, by: str = "system") -> None:
        """Put a device type, or a newer version of it, in force on every host; all of them take it, or none.

        Raises
        ------
        CommandRefusedError : a version with other channels, while there are devices.
        """
        self.check_install(device_type)
        command = c.InstallType(
            command_id=self.command_id(), by=by, document=typefiles.to_document(device_type)
        )
        self._everywhere(command)
        installed = typefiles.from_document(
            command.document
        )  # as the hosts have it, and as a restart finds it
        self.types = {**self.types, device_type.name: installed}  # others may be going through the old one

    def check_install(self, device_type: DeviceType) -> None:
        """Refuse what ``install`` would refuse; changes nothing."""
        self._call([(host, "check_install", (device_type,)) for host in self.hosts()])

    def learn_types(self, host: int) -> None:
        """Learn the types that a host has in force: somebody else may have installed one."""
        (documents,) = self._call([(host, "types", ())])
        found = [typefiles.from_document(document) for document in documents]
        self.types = {**self.types, **{device_type.name: device_type for device_type in found}}

    def register(self, devices: Sequence[Device], by: str = "system") -> None:
        """Give each device a twin.

        Raises
        ------
        DeviceTypeNotFoundError, DeviceExistsError, CommandRefusedError : nothing of the list was registered.
        """
        with self._lock:
            self._register(devices, by)

    def _register(self, devices: Sequence[Device], by: str) -> None:
        self._check_new(devices)
        self._awaited.update(device.parent for device in devices if device.parent)
        for name in dict.fromkeys(device.device_type for device in devices):
            shared = [d for d in devices if d.device_type == name and d.placement == "shared"]
            for host, part in self._spread(shared):
                self._register_on(host, name, part, by)
            for device in devices:
                if device.device_type == name and device.placement == "dedicated":
                    host = self._add_host(dedicated=True)
                    self._dedicated.add(host)
                    self._register_on(host, name, [device], by)
        self._mark_parents()

    def update(self, device: Device, by: str = "system") -> None:
        """Change what is said of a device: site, parent, name, labels."""
        self.command(c.UpdateDevice(command_id=self.command_id(), by=by, device=device))
        if device.parent:
            with self._lock:
                self._awaited.add(device.parent)
                self._mark_parents()

    def retire(self, device_id: str, by: str = "system") -> None:
        """Take a device out of the living fleet."""
        self.command(c.RetireDevice(command_id=self.command_id(), by=by, device_id=device_id))

    # -- readings and commands -------------------------------------------------------------------------------------

    def write(self, batch: ReadingBatch, *, now_us: int | None = None, trace: bool = False) -> WriteResult:
        """Take readings in; returns when they are durable. One bad line never costs another.

        Raises
        ------
        DeviceTypeNotFoundError, ReadingError : the batch as a whole makes no sense.
        OverloadedError, DegradedError : nothing, or only the part of other hosts, was taken; sending again is safe.
        """
        (result,) = self.write_many([batch], now_us=now_us, trace=trace)
        return result

    def write_many(
        self, batches: Sequence[ReadingBatch], *, now_us: int | None = None, trace: bool = False
    ) -> list[WriteResult]:
        """Take several batches in, of any types, the hosts working side by side; raises what ``write`` raises."""
        now_us = self.clock.now_us() if now_us is None else now_us
        routed = [self._route(batch) for batch in batches]
        calls = [
            (part.host, "write", (batch.device_type, part.batch, now_us, trace))
            for batch, route in zip(batches, routed, strict=True)
            for part in route.parts
        ]
        replies = iter(self._call(calls))
        return [
            self._gather(batch, route, [next(replies) for _ in route.parts], trace)
            for batch, route in zip(batches, routed, strict=True)
        ]

    def command(self, command: c.Command) -> dict[int, int]:
        """Do what is asked; returns, when it is durable, the cursor of each host it touched.

        Raises
        ------
        DeviceNotFoundError, CommandRefusedError and its leaves : nothing was changed.
        """
        if isinstance(command, c.InstallType | c.SetParentState):
            return self._everywhere(command)
        if isinstance(command, c.RegisterDevices):
            self.register(command.devices, command.by)
            return {}
        device_id = (
            command.device.id if isinstance(command, c.UpdateDevice) else getattr(command, "device_id", "")
        )
        found = self.directory.locate_one(device_id)
        if found is None:
            raise DeviceNotFoundError(device_id)
        (reply,) = self._call([(found[0], "command", (command, self.clock.now_us()))])
        return {found[0]: reply.cursor}

    def advance(self, now_us: int | None = None) -> None:
        """Let time pass everywhere: silence is noticed, shelves run out."""
        now_us = self.clock.now_us() if now_us is None else now_us
        self._call([(host, "tick", (now_us,)) for host in self.hosts()])

    # -- reading ---------------------------------------------------------------------------------------------------

    def twin(self, device_id: str) -> Twin:
        """A handle; DeviceNotFoundError if there is no such device."""
        if device_id not in self.directory:
            raise DeviceNotFoundError(device_id)
        return Twin(self, device_id)

    def read_twin(self, device_id: str) -> dict[str, Any]:
        """Everything the shard knows of one device, as JSON values."""
        found = self.directory.locate_one(device_id)
        if found is None:
            raise DeviceNotFoundError(device_id)
        host, device_type, row = found
        (state,) = self._call([(host, "read_twin", (device_type, row))])
        result: dict[str, Any] = state
        return result

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
        """What each host says of itself."""
        return list(self._call([(host, "status", ()) for host in self.hosts()]))

    def hosts(self) -> list[int]:
        """The numbers of all hosts."""
        return list(range(len(self._load)))

    def command_id(self) -> str:
        """An id for a command of this process's own."""
        return f"{self._prefix}-{next(self._numbers)}"

    # -- inside ----------------------------------------------------------------------------------------------------

    def _everywhere(self, command: c.Command) -> dict[int, int]:
        now_us = self.clock.now_us()
        replies = self._call([(host, "command", (command, now_us)) for host in self.hosts()])
        return {host: reply.cursor for host, reply in zip(self.hosts(), replies, strict=True)}

    def _check_new(self, devices: Sequence[Device]) -> None:
        ids = [device.id for device in devices]
        for device in devices:
            if device.device_type not in self.types:
                raise DeviceTypeNotFoundError(device.device_type, tuple(sorted(self.types)))
            if not device.id or len(device.id.encode()) > MAX_ID_BYTES or not device.id.isprintable():
                raise CommandRefusedError(
                    "register",
                    device.id,
                    f"an id has 1 to {MAX_ID_BYTES} bytes of printable text; choose another",
                )
        if len(set(ids)) < len(ids):
            seen: set[str] = set()
            twice = next(each for each in ids if each in seen or seen.add(each))  # type: ignore[func-returns-value]
            raise CommandRefusedError("register", twice, "the list names it twice; name each device once")
        known = self.directory.known(pa.array(ids, pa.string()))
        if known.any():
            raise DeviceExistsError(ids[int(np.argmax(known))])

    def _spread(self, devices: Sequence[Device]) -> list[tuple[int, Sequence[Device]]]:
        """Cut a list over the shared hosts so that they end up equally full; adds hosts when all are."""
        shared = [host for host in self.hosts() if host not in self._dedicated]
        free = sum(max(0, self.config.twins_per_host - self._load[host]) for host in shared)
        while free < len(devices):
            host = self._add_host(dedicated=False)
            shared.append(host)
            free += self.config.twins_per_host
        level = -(-(sum(self._load[host] for host in shared) + len(devices)) // len(shared))
        parts: list[tuple[int, Sequence[Device]]] = []
        start = 0
        for host in sorted(shared, key=lambda h: (self._load[h], h)):
            room = max(0, min(level, self.config.twins_per_host) - self._load[host])
            stop = min(len(devices), start + room)
            while start < stop:
                end = min(stop, start + REGISTER_CHUNK)
                parts.append((host, devices[start:end]))
                start = end
        if start < len(devices):  # rounding left a few: the emptiest takes them
            parts.append((min(shared, key=lambda h: self._load[h]), devices[start:]))
        return parts

    def _register_on(self, host: int, device_type: str, devices: Sequence[Device], by: str) -> None:
        command = c.RegisterDevices(
            command_id=self.command_id(), by=by, device_type=device_type, devices=tuple(devices)
        )
        (first_row,) = self._call([(host, "register", (command, self.clock.now_us()))])
        self.directory.add(host, device_type, first_row, pa.array([d.id for d in devices], pa.string()))
        self._load[host] += len(devices)

    def _mark_parents(self) -> None:
        """Tell the hosts which of their devices have children; a parent may come after them."""
        found: dict[int, list[str]] = {}
        for parent in sorted(self._awaited):
            place = self.directory.locate_one(parent)
            if place is not None:
                found.setdefault(place[0], []).append(parent)
                self._awaited.discard(parent)
        for host, parents in found.items():
            command = c.MarkParents(command_id=self.command_id(), by="system", device_ids=tuple(parents))
            self._call([(host, "command", (command, self.clock.now_us()))])

    def _learn_host(self, host: int) -> None:
        """Rebuild the directory's part from what a host says it holds."""
        (held,) = self._call([(host, "membership", ())])
        while len(self._load) <= host:
            self._load.append(0)
        for shard in held:
            device_type = typefiles.from_document(shard.document)
            self.types[device_type.name] = device_type
            if len(shard.ids):
                self.directory.add(host, device_type.name, 0, shard.ids)
            self._load[host] += len(shard.ids)
            self._awaited.update(each for each in shard.parents if each not in self.directory)
            if shard.is_dedicated:
                self._dedicated.add(host)

    def _places(self, ids: pa.StringArray) -> Places:
        """Where ``ids`` live; remembered for arrays that come again, as a gateway's or the simulator's do."""
        key = id(ids)
        with self._lock:
            hit = self._routes.get(key)
            if hit is not None and hit[0] is ids and hit[1].version == self.directory.version:
                self._routes.move_to_end(key)
                return hit[1]
            places = self.directory.locate(ids)
            self._routes[key] = (ids, places)
            while len(self._routes) > _ROUTES_KEPT:
                self._routes.popitem(last=False)
            return places

    def _route(self, batch: ReadingBatch) -> "_Route":
        """Round a batch's values and cut it by host."""
        device_type = self.types.get(batch.device_type)
        if device_type is None:
            raise DeviceTypeNotFoundError(batch.device_type, tuple(sorted(self.types)))
        values = rounded(batch.values, device_type)
        present = batch.present
        if present is None:
            present = np.full(len(batch), all_present(len(device_type.channels)))
        places = self._places(batch.ids)
        known = self.directory.types
        type_code = known.index(batch.device_type) if batch.device_type in known else -2
        host_of, rows = places.host[batch.index], places.row[batch.index]
        taken = places.type_code[batch.index] == type_code
        parts = []
        for host in np.unique(host_of[taken]).tolist():
            mine = taken & (host_of == host)
            lines: NDArray[np.intp] | slice = slice(None) if mine.all() else np.flatnonzero(mine)
            part = ShardBatch(
                rows[lines], batch.event_us[lines], values[lines], present[lines], places.version
            )
            parts.append(_Part(host, lines, part))
        return _Route(places, parts, np.flatnonzero(~taken))

    def _gather(
        self, batch: ReadingBatch, route: "_Route", replies: Sequence[HostReply], trace: bool
    ) -> WriteResult:
        counts = np.zeros(len(Fate), np.int64)
        results = line_results(len(batch)) if trace else None
        events: list[tuple[int, str, EventBatch]] = []
        for part, reply in zip(route.parts, replies, strict=True):
            counts += reply.counts
            if results is not None and reply.results is not None:
                columns: Iterable[tuple[NDArray[Any], NDArray[Any]]] = zip(
                    results, reply.results, strict=True
                )
                for whole, share in columns:
                    whole[part.lines] = share
                events += [(part.host, name, each) for name, each in reply.events]
        if results is not None:
            results.fate[route.refused] = Fate.EMPTY
        unknown = route.places.host[batch.index[route.refused]] < 0
        return WriteResult(
            fates={fate.name.lower(): int(counts[fate]) for fate in Fate if counts[fate]},
            refused=[
                (
                    line,
                    batch.ids[int(batch.index[line])].as_py(),
                    "device.not_found" if no_such else "device.other_type",
                )
                for line, no_such in zip(
                    route.refused[:REFUSALS_TOLD].tolist(), unknown.tolist(), strict=False
                )
            ],
            refused_total=len(route.refused),
            cursors={part.host: reply.cursor for part, reply in zip(route.parts, replies, strict=True)},
            results=results,
            events=events,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The lines of a batch that go to one host."""

    host: int
    lines: "NDArray[np.intp] | slice"
    batch: ShardBatch


@dataclass(frozen=True, slots=True, eq=False)
class _Route:
    """Where the lines of a batch go, and which go nowhere."""

    places: Places
    parts: Sequence[_Part]
    refused: NDArray[np.intp]


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
        super().__init__(config, clock)
        self.folder = folder
        self._services: list[HostService] = []
        self._untold: dict[str, int] = {}  # parents' states that not every host has heard
        existing = sorted(folder.glob("host-*")) if folder is not None and folder.is_dir() else []
        for number in range(max(self.config.hosts, len(existing))):
            self._open_host(number)
        for number in range(len(self._services)):
            self._learn_host(number)
        for device_type in list(self.types.values()):
            self._install_where_missing(device_type)
        for service in self._services:  # whoever ended before its children had heard
            self._untold.update(service.parents_now())
        self._tell_children(())

    def close(self) -> None:
        """Snapshot and let go of the journals."""
        for service in self._services:
            service.host.close()

    def __enter__(self) -> "LocalFleet":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def shard_hosts(self) -> list[ShardHost]:
        """The hosts themselves, for a recorder in this process, and for tests."""
        return [service.host for service in self._services]

    def _call(self, calls: Sequence[tuple[int, str, tuple[Any, ...]]]) -> list[Any]:
        results, failed = self._called(calls)
        self._tell_children(results)
        if failed is not None:
            raise failed
        return results

    def _called(
        self, calls: Sequence[tuple[int, str, tuple[Any, ...]]]
    ) -> tuple[list[Any], Exception | None]:
        """Results, None in the place of what failed, and the first error: every host gets its call."""
        results: list[Any] = []
        failed: Exception | None = None
        for host, method, arguments in calls:
            service = self._services[host]
            try:
                results.append(getattr(service, method)(*arguments))
            except Exception as error:
                failed = failed or error
                results.append(None)
            if service.host.snapshot_due and (write := service.host.begin_snapshot()) is not None:
                try:
                    write()
                except (
                    OSError,
                    FleetError,
                ) as error:  # what was asked is done and durable; the next call tries again
                    _log.warning("%s: no snapshot was written: %s", service.host.name, error)
        return results, failed

    def _tell_children(self, replies: Sequence[Any]) -> None:
        """Tell every host what the replies say of parents, and what the answers say; what cannot be told now is told later.

        It ends: what a device tells depends on its own alerts and silence alone, not on what it is told.
        """
        later: dict[str, int] = {}
        self._untold.update(_news(replies))
        while self._untold:
            parent_id = next(iter(self._untold))
            flags = self._untold.pop(parent_id)
            command = c.SetParentState(
                command_id=self.command_id(), by="system", parent_id=parent_id, flags=flags
            )
            now_us = self.clock.now_us()
            answers, failed = self._called([(host, "command", (command, now_us)) for host in self.hosts()])
            later.pop(parent_id, None)
            if failed is not None:
                _log.info("children of %s are told later: %s", parent_id, failed)
                later[parent_id] = flags
            self._untold.update(_news(answers))  # to be told is to hear the time, which may be news in turn
        self._untold = later

    def _add_host(self, dedicated: bool) -> int:
        number = len(self._services)
        self._open_host(number)
        self._load.append(0)
        for device_type in self.types.values():
            self._install_where_missing(device_type)
        return number

    def _open_host(self, number: int) -> None:
        name = f"host-{number:03d}"
        host = ShardHost(name, self.folder / name if self.folder is not None else None, self.config.host)
        host.open()
        self._services.append(HostService(host))

    def _install_where_missing(self, device_type: DeviceType) -> None:
        document = typefiles.to_document(device_type)
        for service in self._services:
            if device_type.name not in service.host.shards:
                service.command(
                    c.InstallType(command_id=self.command_id(), by="system", document=document),
                    self.clock.now_us(),
                )


def _news(replies: Sequence[Any]) -> dict[str, int]:
    """The states of parents in replies of hosts."""
    return {
        parent_id: flags
        for reply in replies
        if isinstance(reply, HostReply)
        for parent_id, flags in reply.parents
    }
