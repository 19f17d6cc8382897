"""Who belongs to the fleet, and on which host: the one owner of membership, whatever calls it and wherever it runs.

Membership itself is in the hosts' journals. What stands here is an index of it in memory, learned from the hosts: it can be
lost at any moment and be learned again. So that two owners, or an owner and what is left of its predecessor's work, cannot
register one id twice, each registration begins by claiming every host under a name of its own: a host tells who lives there
and from then on takes registrations under that name only. What is still on its way under an older name is refused. When
every host has been claimed, and none was claimed by another meanwhile, what was learned is the whole truth until one is.

A registration is cut into chunks, each one command on one host, named after the registration and the chunk's place in it.
Hosts remember commands, so a registration that was broken off is finished by asking for it again.
"""

import contextlib
import itertools
import logging
import re
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twins import commands as c
from twins import typefiles
from twins.clock import Clock
from twins.devices import Device, DeviceType
from twins.directory import MAX_ID_BYTES, Directory, DirectoryPart
from twins.errors import (
    CommandRefusedError,
    DegradedError,
    DeviceExistsError,
    DeviceNotFoundError,
    DeviceTypeNotFoundError,
    FleetError,
    SupersededError,
)
from twins.service import Chunk, Claimed, Known

REGISTER_CHUNK: Final = 20_000
"""Devices that one command registers at most, so that no host is held for long."""

_ATTEMPTS: Final = 5
_BRIEFLY_S: Final = 2.0
_STARTS_WITHIN_S: Final = 120.0
_CHUNK: Final = re.compile(r"(\d+)-(\d+)")
_DOUBLES_TOLD: Final = 100

_log = logging.getLogger("twinfold.membership")

Call = tuple[int, str, tuple[Any, ...]]
"""Host, method of ``HostService``, arguments."""


class Hosts(Protocol):
    """The hosts of a fleet, wherever they are.

    ``fork_lead_us``: how far ahead a moment must lie for every host to hear of it before it comes.
    """

    fork_lead_us: int

    def numbers(self) -> list[int]:
        """All that there are, up or not."""
        ...

    def start(self, number: int) -> None:
        """Bring a host up, unless it is."""
        ...

    def ask(self, calls: Sequence[Call], patience_s: float | None = None) -> list[Any]:
        """Call hosts side by side; for each call its result, or the error that it ended with.

        A host that does not answer within ``patience_s`` gives a DegradedError. What the answers say of parents, their
        children hear.
        """
        ...

    async def ask_async(self, calls: Sequence[Call]) -> list[Any]:
        """What ``ask`` does, from an event loop."""
        ...

    def is_alone(self) -> bool:
        """Whether nobody else owns this membership by now; asked where a host cannot say so itself."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Entrants:
    """Devices of one type and one placement that are to be registered: their ids, and where the rest of them is.

    ``devices`` is a sequence of them, or a reference that hosts can follow; ``parents`` are those that they name.
    """

    device_type: str
    placement: str
    ids: pa.StringArray
    parents: tuple[str, ...]
    devices: Any

    def __len__(self) -> int:
        return len(self.ids)


def entrants(
    devices: Sequence[Device], keep: Callable[[Sequence[Device]], Any] = lambda devices: devices
) -> list[Entrants]:
    """A list of devices by type and placement, in pieces of at most ``REGISTER_CHUNK``: the same list, the same pieces.

    ``keep`` puts the devices of a piece where hosts can get at them.

    Raises
    ------
    CommandRefusedError : an id that no device can have; a parent of a device that is being imported.
    """
    for device in devices:
        if not device.id or len(device.id.encode()) > MAX_ID_BYTES or not device.id.isprintable():
            problem = f"an id has 1 to {MAX_ID_BYTES} bytes of printable text; choose another"
            raise CommandRefusedError("register", device.id, problem)
        if device.importing and device.parent:
            problem = "of a device whose past is imported the parent is told when that has ended"
            raise CommandRefusedError("register", device.id, problem)
    groups: dict[tuple[str, str], list[Device]] = {}
    for device in devices:
        groups.setdefault((device.device_type, device.placement), []).append(device)
    return [
        Entrants(
            name,
            placement,
            pa.array([device.id for device in piece], pa.string()),
            tuple({device.parent: None for device in piece if device.parent}),
            keep(piece),
        )
        for (name, placement), group in groups.items()
        for start in range(0, len(group), REGISTER_CHUNK)
        for piece in [group[start : start + REGISTER_CHUNK]]
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What a copy of the membership did not know: more devices, and, if those changed, all types; how many hosts.

    ``is_whole`` says whether there can be no device that is not known.
    """

    part: DirectoryPart
    types: dict[str, DeviceType] | None
    types_version: int
    hosts: int
    is_whole: bool


@dataclass(slots=True)
class _Held:
    """What the owner knows of a host: its devices, and its types' documents.

    One that is ``doubtful`` may hold devices which it has not told of; one that is ``ready`` took part in the last claim.
    """

    devices: int = 0
    is_dedicated: bool = False
    is_doubtful: bool = True
    is_ready: bool = False
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class _Claim:
    """One round of claiming: under which name, for which registration, and what each host answered that did."""

    name: str
    command_id: str
    answers: dict[int, Claimed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Wish:
    """Lines ``start`` to ``stop`` of a piece, to go to ``host``; ``at`` is the piece's place in the whole list."""

    host: int
    piece: Entrants
    at: int
    start: int
    stop: int


class Membership:
    """The owner.

    Parameters
    ----------
    hosts : where they are
    twins_per_host : devices after which another host is added
    patience_s : how long a host may take to answer; None: as long as it takes
    """

    def __init__(
        self, hosts: Hosts, twins_per_host: int, clock: Clock, patience_s: float | None = None
    ) -> None:
        self.directory = Directory(secrets.token_hex(8))
        self.types: dict[str, DeviceType] = {}
        self.types_version = 0
        self._hosts = hosts
        self._most = twins_per_host
        self._clock = clock
        self._patience_s = patience_s
        self._held: dict[int, _Held] = {}
        self._awaited: set[str] = set()  # parents that do not know yet that they have children
        self._twice: list[str] = []
        self._installed: set[str] = set()  # types put in force here: who was away follows, whichever it has
        self._lock = threading.RLock()
        self._name = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    # -- what can be asked -----------------------------------------------------------------------------------------

    def learn(self) -> None:
        """Learn from every host who lives there, put every type in force everywhere.

        Raises
        ------
        DegradedError : a host whose devices are not known does not answer.
        """
        with self._lock:
            self._claim_all()

    def changes(self, life: str, known: int, types_version: int) -> Changes:
        """What somebody does not know who knows ``known`` devices of the directory's life ``life``.

        Waits for no registration: those that are on their way are told of as far as they are.
        """
        if not self._held:
            with contextlib.suppress(DegradedError):  # then what the other hosts hold has to do
                self.learn()
        directory, version = self.directory, self.types_version
        same_life = life == directory.life
        part = directory.after(known if same_life and known <= len(directory) else 0)
        types = None if same_life and types_version == version else self.types
        return Changes(part, types, version, len(self._held), self.is_whole)

    def register(self, pieces: Sequence[Entrants], by: str, command_id: str) -> dict[int, int]:
        """Give each device a twin; returns the newest cursor of each host that was written.

        Asked again under the same ``command_id``, it finishes what was begun and repeats nothing.

        Raises
        ------
        DeviceTypeNotFoundError, DeviceExistsError, CommandRefusedError : nothing of the list was registered.
        DegradedError : a part may have been; ask again under the same ``command_id``.
        """
        with self._lock:
            for attempt in range(_ATTEMPTS):
                claim = self._claim_all(command_id)
                try:
                    return self._register(pieces, by, command_id, claim)
                except SupersededError as error:  # a host restarted, or somebody else owns the membership too
                    _log.info("attempt %d of a registration is done again: %s", attempt, error)
            raise DegradedError("hosts keep being claimed by somebody else")

    def install(self, device_type: DeviceType, by: str, command_id: str) -> dict[int, int]:
        """Put a device type, or a newer version of it, in force on every host; all of them take it, or none.

        Raises
        ------
        CommandRefusedError : a version with other channels, while there are devices.
        DegradedError : a host failed half-way; those that had it go back, by the next time the owner asks them.
        """
        with self._lock:
            self._claim_all()
            self._ask_all("check_install", device_type)
            device_type = typefiles.from_document(typefiles.to_document(device_type))  # as the hosts have it
            document = typefiles.to_document(device_type)
            command = c.InstallType(command_id=command_id, by=by, document=document)
            replies = self._ask_all("command", command, self._clock.now_us())
            self._put_in_force(device_type)
            self._installed.add(device_type.name)
            for held in self._held.values():
                held.documents[device_type.name] = document
            return {host: reply.cursor for host, reply in replies.items()}

    def update(self, command: c.UpdateDevice) -> dict[int, int]:
        """Change what is said of a device; a parent that is new to it learns that it has a child."""
        with self._lock:
            if not self._held:
                self._claim_all()
            found = self.directory.locate_one(command.device.id)
            if found is None:
                raise DeviceNotFoundError(command.device.id)
            call = (found[0], "command", (command, self._clock.now_us()))
            (reply,) = _raised(self._hosts.ask([call], self._patience_s))
            if command.device.parent:
                self._awaited.add(command.device.parent)
                self._mark_parents()
            return {found[0]: reply.cursor}

    @property
    def is_whole(self) -> bool:
        """Whether all that any host holds is known; else unknown devices may live on one that does not answer."""
        return bool(self._held) and not any(held.is_doubtful for held in list(self._held.values()))

    def status(self) -> dict[str, Any]:
        """``devices`` and ``hosts`` that are known, hosts in ``doubt``, ids that live ``twice`` (the first hundred)."""
        return {
            "devices": len(self.directory),
            "hosts": len(self._held),
            "doubt": [host for host, held in list(self._held.items()) if held.is_doubtful],
            "twice": list(self._twice),
        }

    # -- learning --------------------------------------------------------------------------------------------------

    def _claim_all(self, command_id: str = "") -> _Claim:
        """Claim every host, learn what is new there and what was done of a registration."""
        claim = _Claim(f"{self._name}-{next(self._numbers)}", command_id)
        asked: set[int] = set()
        while waiting := [number for number in self._all_hosts() if number not in asked]:
            asked.update(waiting)
            if not self._claim(waiting, claim, self._patience_s):
                _log.warning("hosts hold other devices than they did; all are learned anew")
                self._forget()
                asked.clear()
        self._install_where_missing()
        self._mark_parents()
        return claim

    def _claim(self, numbers: Sequence[int], claim: _Claim, patience_s: float | None) -> bool:
        """Claim these; False if one of them has other devices than those it is known for."""
        if patience_s is not None and not any(self._held[number].is_doubtful for number in numbers):
            patience_s = min(patience_s, _BRIEFLY_S)  # what is known of them will do
        calls: list[Call] = [
            (number, "claim", (claim.name, self._known(number), claim.command_id)) for number in numbers
        ]
        answers = dict(zip(numbers, self._hosts.ask(calls, patience_s), strict=True))
        for number, answer in answers.items():
            if isinstance(answer, Exception):
                continue
            if answer.strange:
                return False
            self._learn(number, answer)
            claim.answers[number] = answer
        for number, answer in answers.items():  # what the others told is known, whatever becomes of the claim
            if isinstance(answer, Exception):
                self._missed(number, answer)
        return True

    def _all_hosts(self) -> list[int]:
        """Every host that there is or should be; those that were announced and never came are brought up."""
        there = self._hosts.numbers()
        for number in range(max([len(self._held), *(each + 1 for each in there)])):
            self._held.setdefault(number, _Held())
            if number not in there:
                self._hosts.start(number)
        return sorted(self._held)

    def _known(self, host: int) -> dict[str, Known]:
        return {
            name: Known(self.directory.seal(host, name), document["version"])
            for name, document in self._held[host].documents.items()
        }

    def _confirm(self, claim: _Claim) -> None:
        """Make sure that there was a moment at which every host was ours: two owners may claim in turns.

        Of two owners who each had such a moment, the later one learned from each host after the earlier one had lost it.
        """
        calls: list[Call] = [(host, "confirm", (claim.name,)) for host in claim.answers]
        _raised(self._hosts.ask(calls, self._patience_s))

    def _missed(self, host: int, error: Exception) -> None:
        """A host did not answer. If all its devices are known, life goes on without it."""
        held = self._held[host]
        held.is_ready = False
        if not isinstance(error, FleetError):
            raise error
        if held.is_doubtful:
            why = error.reason if isinstance(error, DegradedError) else str(error)
            raise DegradedError(f"host {host} may hold devices that are not known yet: {why}") from error
        if not self._hosts.is_alone():
            raise DegradedError("another process owns the fleet's membership by now") from error

    def _learn(self, host: int, answer: Claimed) -> None:
        """Take in what a host told."""
        held = self._held[host]
        for shard in answer.shards:
            if shard.document is not None:
                device_type = typefiles.from_document(shard.document)
                held.documents[device_type.name] = shard.document
                known = self.types.get(device_type.name)
                if known is None or (
                    known.version < device_type.version and known.name not in self._installed
                ):
                    self._put_in_force(device_type)
            self._add(host, shard.device_type, shard.first_row, shard.ids)
            self._awaited.update(shard.parents)
            self._awaited.difference_update(shard.marked)
            held.is_dedicated |= shard.is_dedicated
        held.is_doubtful, held.is_ready = False, answer.is_ready
        for number in range(answer.announced):
            self._held.setdefault(number, _Held())

    def _add(self, host: int, device_type: str, first_row: int, ids: pa.StringArray) -> None:
        """Put devices on the map."""
        twice = self.directory.add(host, device_type, first_row, ids)
        self._held[host].devices += len(ids)
        if twice:
            self._twice += twice[: _DOUBLES_TOLD - len(self._twice)]
            _log.error("%d ids live twice, such as %r; their first place counts", len(twice), twice[0])

    def _forget(self) -> None:
        """What was known is of another life of the hosts."""
        self.directory = Directory(secrets.token_hex(8))
        self.types, self.types_version = {}, self.types_version + 1
        self._held, self._awaited, self._twice = {}, set(), []

    def _put_in_force(self, device_type: DeviceType) -> None:
        self.types = {**self.types, device_type.name: device_type}
        self.types_version += 1

    def _install_where_missing(self) -> None:
        """Bring hosts that are new, or were away when a type was installed, to the types in force."""
        calls: list[Call] = []
        for name, device_type in self.types.items():
            document = typefiles.to_document(device_type)
            for host, held in self._held.items():
                if held.is_ready and held.documents.get(name) != document:
                    command_id = f"{self._name}-{next(self._numbers)}"
                    command = c.InstallType(command_id=command_id, by="system", document=document)
                    calls.append((host, "command", (command, self._clock.now_us())))
        _raised(self._hosts.ask(calls, self._patience_s))
        for host, _, (command, _) in calls:
            self._held[host].documents[command.document["name"]] = command.document

    def _mark_parents(self) -> None:
        """Tell the hosts which of their devices have children; a parent may come after them."""
        awaited = sorted(self._awaited)
        places = self.directory.locate(pa.array(awaited, pa.string()))
        for host in np.unique(places.host[places.host >= 0]).tolist():
            found = [awaited[at] for at in np.flatnonzero(places.host == host).tolist()]
            command_id = f"{self._name}-{next(self._numbers)}"
            command = c.MarkParents(command_id=command_id, by="system", device_ids=tuple(found))
            call = (host, "command", (command, self._clock.now_us()))
            (reply,) = self._hosts.ask([call], self._patience_s)
            if isinstance(reply, Exception):
                _log.warning(
                    "%d devices on host %d learn later that they have children: %s", len(found), host, reply
                )
                continue
            self._awaited.difference_update(found)

    # -- registering -----------------------------------------------------------------------------------------------

    def _register(
        self, pieces: Sequence[Entrants], by: str, command_id: str, claim: _Claim
    ) -> dict[int, int]:
        for piece in pieces:
            if piece.device_type not in self.types:
                raise DeviceTypeNotFoundError(piece.device_type, tuple(sorted(self.types)))
        done, cursors = self._done(pieces, claim)
        wishes = self._placed(pieces, done, claim)
        if any(wishes.values()):
            self._confirm(claim)
        while any(wishes.values()):
            calls: list[Call] = []
            now_us = self._clock.now_us()
            sent = [queue.popleft() for queue in wishes.values() if queue]
            for wish in sent:
                chunk = Chunk(
                    f"{command_id}#{wish.at + wish.start}-{wish.at + wish.stop}", by, wish.piece.device_type,
                    wish.start, wish.stop, claim.name,
                )  # fmt: skip
                calls.append((wish.host, "register", (wish.piece.devices, chunk, now_us)))
            answers = self._hosts.ask(calls, self._patience_s)
            for wish, answer in zip(sent, answers, strict=True):
                if isinstance(answer, Exception):
                    self._held[wish.host].is_doubtful = True  # the answer may be all that was lost
                    continue
                ids = wish.piece.ids.slice(wish.start, wish.stop - wish.start)
                self._add(wish.host, wish.piece.device_type, answer.first_row, ids)
                cursors[wish.host] = answer.cursor
            _raised(answers)
        self._awaited.update(parent for piece in pieces for parent in piece.parents)
        self._mark_parents()
        return cursors

    def _done(self, pieces: Sequence[Entrants], claim: _Claim) -> tuple[NDArray[np.bool_], dict[int, int]]:
        """Which lines of the list an earlier attempt has registered, and where that is in the journals.

        Raises
        ------
        DeviceExistsError, CommandRefusedError : a line that cannot be registered.
        DegradedError : a line may have been registered on a host that does not answer.
        """
        ids = pa.concat_arrays([piece.ids for piece in pieces]) if pieces else pa.array([], pa.string())
        unique = pc.value_counts(ids)
        if len(unique) < len(ids):
            twice = unique.field("values").filter(pc.greater(unique.field("counts"), 1))[0].as_py()
            raise CommandRefusedError("register", twice, "the list names it twice; name each device once")
        known, done = self.directory.known(ids), np.zeros(len(ids), np.bool_)
        cursors: dict[int, int] = {}
        parts: list[re.Match[str]] = []
        for host, answer in claim.answers.items():
            here = list(filter(None, map(_CHUNK.fullmatch, answer.chunks)))
            for found in here:
                done[int(found[1]) : int(found[2])] = True
                cursors[host] = answer.cursor
            parts += here
        if (known & ~done).any():
            places = self.directory.locate(ids.filter(pa.array(known & ~done)))
            for host in np.unique(places.host).tolist():
                if host not in claim.answers:
                    raise DegradedError(
                        f"host {host} does not say which devices this registration has begun with"
                    )
            first = ids[int(np.argmax(known & ~done))].as_py()
            if not done.any():
                raise DeviceExistsError(first)
            problem = (
                f"another list took this id while {int(done.sum())} devices of this one had been registered"
            )
            raise CommandRefusedError("register", first, f"{problem}; register the rest without it")
        if (done & ~known).any() or any(int(f[2]) > len(ids) for f in parts):
            problem = "it has registered other devices before; use a key of its own for each list"
            raise CommandRefusedError("register under the key", claim.command_id, problem)
        return done, cursors

    def _placed(
        self, pieces: Sequence[Entrants], done: NDArray[np.bool_], claim: _Claim
    ) -> dict[int, "deque[_Wish]"]:
        """Where the lines that are not done shall go, by host: the shared ones so that hosts end up equally full."""
        wishes: dict[int, deque[_Wish]] = {}
        starts = np.cumsum([0, *map(len, pieces)]).tolist()
        runs = [
            _Wish(-1, piece, at, start, stop)
            for piece, at in zip(pieces, starts, strict=False)
            for start, stop in _runs(~done[at : at + len(piece)])
        ]
        planned: dict[int, int] = {}
        for name in dict.fromkeys(run.piece.device_type for run in runs):
            shared = [r for r in runs if r.piece.device_type == name and r.piece.placement == "shared"]
            for wish in self._spread(shared, planned, claim):
                wishes.setdefault(wish.host, deque()).append(wish)
        for run in runs:
            if run.piece.placement == "dedicated":
                for line in range(run.start, run.stop):
                    host = self._add_host(claim)
                    self._held[host].is_dedicated = True
                    wishes[host] = deque([replace(run, host=host, start=line, stop=line + 1)])
        return wishes

    def _spread(self, runs: Sequence[_Wish], planned: dict[int, int], claim: _Claim) -> Iterable[_Wish]:
        """Cut lines of one type over the shared hosts so that these end up equally full; adds hosts when all are."""
        wanted = sum(run.stop - run.start for run in runs)
        if not wanted:
            return
        shared = [host for host, held in self._held.items() if not held.is_dedicated]
        shared = [host for host in shared if self._held[host].is_ready] or shared  # else: be told why not

        def load(host: int) -> int:
            return self._held[host].devices + planned.get(host, 0)

        while sum(max(0, self._most - load(host)) for host in shared) < wanted:
            shared.append(self._add_host(claim))
        level = -(-(sum(map(load, shared)) + wanted) // len(shared))
        todo = deque(runs)
        for host in sorted(shared, key=lambda host: (load(host), host)):
            room = max(0, min(level, self._most) - load(host))
            while todo and room:
                run = todo.popleft()
                stop = min(run.stop, run.start + room)
                yield replace(run, host=host, stop=stop)
                room -= stop - run.start
                planned[host] = planned.get(host, 0) + stop - run.start
                if stop < run.stop:
                    todo.appendleft(replace(run, start=stop))
        emptiest = min(shared, key=load)
        for run in todo:  # rounding left a few
            planned[emptiest] = planned.get(emptiest, 0) + run.stop - run.start
            yield replace(run, host=emptiest)

    def _add_host(self, claim: _Claim) -> int:
        """Bring another host up, with every type; the first host knows of it before it is there."""
        number = len(self._held)
        _raised(self._hosts.ask([(0, "announce", (claim.name, number + 1))], self._patience_s))
        self._held[number] = _Held()
        self._hosts.start(number)
        self._claim([number], claim, _STARTS_WITHIN_S)
        self._install_where_missing()
        return number

    def _ask_all(self, method: str, *arguments: Any) -> dict[int, Any]:
        """Ask every host; the first error is raised when all have answered."""
        hosts = sorted(self._held)
        answers = self._hosts.ask([(host, method, arguments) for host in hosts], self._patience_s)
        return dict(zip(hosts, _raised(answers), strict=True))


def _raised(answers: list[Any]) -> list[Any]:
    """The answers, if none is an error; else the first error is raised."""
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def _runs(wanted: NDArray[np.bool_]) -> Iterable[tuple[int, int]]:
    """Where ``wanted`` is on, as (start, stop)."""
    edges = np.flatnonzero(np.diff(wanted, prepend=False, append=False))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
