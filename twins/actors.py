"""Shards in Ray actors: a process, a journal, a clock and a place for each host.

``ShardActor`` gives a ``ShardHost`` its process. It takes work in bounded pieces, so that a read by id, a command or a fork
never waits behind a second's worth of rows, and gathers what waits into one commit. ``Registrar`` is the one owner of the
cluster's membership. ``RayFleet`` is the fleet over both, for any process that joins the cluster. This is the only module of
the package that knows Ray, besides the runner of what-if experiments.
"""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import ray

from twins import commands as c
from twins import views
from twins.clock import SECOND_US, Clock, WallClock, stopwatch_s
from twins.devices import Device, DeviceType
from twins.entries import EntryKind
from twins.errors import DegradedError, FaultError, FleetError, OverloadedError
from twins.fleet import Fleet, FleetConfig
from twins.host import HostConfig, HostStatus, ShardHost, note_seen
from twins.journal import StoredEntry
from twins.membership import Call, Changes, Entrants, Membership, entrants
from twins.placement import Home, OneFolder, Placement
from twins.readings import ShardBatch, merged
from twins.refresher import Refresher
from twins.service import LINES_AT_ONCE, Chunk, HostReply, HostService, joined
from twins.snapshots import newest_block
from twins.warmup import compile_kernels

NAMESPACE: Final = "twinfold"

MOST_LINES_WAITING: Final = 2_000_000
"""Readings that may wait in an actor; more are refused until some are taken in."""

REGISTRAR: Final = "registrar"

_RETELL_EVERY_S: Final = 60.0
_HOST_ANSWERS_S: Final = 20.0  # longer than a host takes to come back
_REGISTRAR_ANSWERS_S: Final = 5.0
_ASK_AGAIN_S: Final = 0.2
_LOOKS_EVERY_S: Final = 0.02
_LOOKS_REST_S: Final = 1.0
_RELEARNS_EVERY_S: Final = 0.25
_DOUBT_LASTS_S: Final = 5.0
_INLINE: Final = 500  # devices that travel with the call; more go through the object store

_log = logging.getLogger("twinfold.actors")


@dataclass(frozen=True, slots=True)
class ActorConfig:
    """How an actor serves its host: how often time passes, how often it shows its twins to the live table."""

    host: HostConfig = field(default_factory=HostConfig)
    tick_every_s: float = 1.0
    publish_every_s: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """One generation of a host's live table: references into the object store, by device type."""

    number: int
    epoch: int
    cursor: int
    at_us: int
    tables: dict[str, Any]
    alerts: Any


@dataclass(slots=True, eq=False)
class _Piece:
    """Readings that wait for their turn, and whoever waits for the answer."""

    device_type: str
    batch: ShardBatch
    trace: bool
    answer: "asyncio.Future[HostReply]"


@ray.remote(max_restarts=-1, max_task_retries=0, num_cpus=0)
class ShardActor:
    """A host in a process of its own. The constructor never raises: restoring is a task, failure a state to be seen.

    Calls are not repeated by Ray: who calls an actor that is away is told so in seconds, and asks again when that suits.
    Everything that changes something may be asked twice.
    """

    def __init__(self, name: str, home: Home, config: ActorConfig) -> None:
        self._config = config
        self._clock = WallClock()
        self._home = home
        self._host = ShardHost(name, home.hosts() / name, config.host, home.check)
        self._service = HostService(self._host)
        self._started_us = self._clock.now_us()
        self._waiting: deque[_Piece] = deque()
        self._lines = 0  # that wait
        self._told = 0
        self._untold: dict[
            str, int
        ] = {}  # the newest state of devices with children that is still to be told
        self._something_to_tell = asyncio.Event()
        self._work = asyncio.Event()
        self._opened = asyncio.Event()
        self._changed = asyncio.Event()
        self._generations: deque[Published] = deque(maxlen=2)
        self._tasks: set[asyncio.Task[Any]] = set()
        loop = asyncio.get_event_loop()
        threading.Thread(target=self._open, args=(loop,), name="restore", daemon=True).start()

    def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            compile_kernels()
        except Exception as error:  # the first readings compile what they need, or say what is wrong
            _log.error("%s could not compile ahead: %s", self._host.name, error)
        self._host.open()
        loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        if self._host.state != "ready":
            _log.error("%s is %s: %s", self._host.name, self._host.state, self._host.reason)
        try:
            self._host.resume(self._clock.now_us())
        except FleetError as error:
            _log.error("%s: %s", self._host.name, error)
        self._opened.set()
        for work in (self._take_in(), self._keep_time(), self._publish(), self._tell_children()):
            self._start(work)

    # -- what can be asked of it -----------------------------------------------------------------------------------

    async def ready(self) -> HostStatus:
        """Answers once the host is restored, or has failed to be."""
        await self._opened.wait()
        return self._status()

    async def status(self) -> HostStatus:
        """What the host says of itself, and where it runs; also while it is being restored."""
        return self._status()

    def _status(self) -> HostStatus:
        node = ray.util.get_node_ip_address()
        return replace(self._host.status(), node=node, home=self._home.id, pid=os.getpid())

    async def write(self, device_type: str, batch: ShardBatch, trace: bool) -> HostReply:
        """Take readings in; answers when they are durable."""
        await self._opened.wait()
        if len(batch) and self._lines + len(batch) > MOST_LINES_WAITING:
            raise OverloadedError(f"{self._lines} readings wait in {self._host.name}", 0.5)
        self._service.check(device_type, batch)
        pieces = [
            _Piece(
                device_type,
                batch.take(at, at + LINES_AT_ONCE),
                trace,
                asyncio.get_running_loop().create_future(),
            )
            for at in range(0, len(batch), LINES_AT_ONCE)
        ]
        self._waiting.extend(pieces)
        self._lines += len(batch)
        self._work.set()
        replies = await asyncio.gather(*(piece.answer for piece in pieces), return_exceptions=True)
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        return joined([reply for reply in replies if not isinstance(reply, BaseException)], self._host.cursor)

    async def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of ``HostService``; what it changes is durable when it answers."""
        await self._opened.wait()
        answer = getattr(self._service, method)(*arguments)
        if isinstance(answer, HostReply):
            self._relay(answer.parents)
            self._wake_followers()
        return answer

    async def command(self, command: c.Command) -> HostReply:
        """Do what is asked, on the actor's own clock."""
        reply: HostReply = await self.ask("command", command, self._clock.now_us())
        return reply

    async def register(self, devices: Sequence[Device], chunk: Chunk) -> HostReply:
        """Register those of ``devices`` that ``chunk`` names; a reference to them is followed on the way here."""
        reply: HostReply = await self.ask("register", devices, chunk, self._clock.now_us())
        return reply

    async def follow(
        self, cursor: int, limit: int, wait_s: float, readings: bool = True
    ) -> list[StoredEntry]:
        """Entries that follow ``cursor``; waits up to ``wait_s`` for the first.

        Without ``readings`` the payload of readings is left out, for those who want to know what happened.
        """
        await self._opened.wait()
        page = self._host.read_after(cursor, limit)
        if not page and wait_s > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), wait_s)
            page = self._host.read_after(cursor, limit)
        if readings:
            return page
        return [entry._replace(payload=b"") if entry.kind == EntryKind.READINGS else entry for entry in page]

    async def pid(self) -> int:
        """The process that this actor is at present."""
        return os.getpid()

    async def published(self) -> Published | None:
        """The newest generation of this host's live table."""
        await self._opened.wait()
        return self._generations[-1] if self._generations else None

    async def archive(self, cursor: int) -> None:
        """The recorder has everything up to ``cursor``."""
        await self._opened.wait()
        self._host.archive(cursor)

    async def note_seen(self, cursor: int) -> None:
        """History is about to hold everything up to ``cursor``; for a recorder on another machine."""
        await self._opened.wait()
        if self._host.folder is not None:
            await asyncio.to_thread(note_seen, self._host.folder, cursor)

    async def newest_snapshot(self) -> tuple[int, bytes] | None:
        """Cursor and bytes of the newest snapshot on this actor's disk, for history to keep."""
        await self._opened.wait()
        folder = self._host.folder
        return None if folder is None else await asyncio.to_thread(newest_block, folder / "snapshots")

    async def close(self) -> None:
        """Stop taking work, snapshot, let the journal go."""
        await self._opened.wait()
        for task in self._tasks:
            task.cancel()
        self._refuse(list(self._waiting), DegradedError("the platform is going down"))
        self._waiting.clear()
        self._host.close()

    # -- what it does by itself ------------------------------------------------------------------------------------

    async def _take_in(self) -> None:
        """Apply what waits, a group at a time: at most ``LINES_AT_ONCE`` lines, one commit."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                self._take_group()
                await asyncio.sleep(0)

    def _take_group(self) -> None:
        group: list[_Piece] = []
        lines = 0
        while self._waiting and (not group or lines + len(self._waiting[0].batch) <= LINES_AT_ONCE):
            group.append(self._waiting.popleft())
            lines += len(group[-1].batch)
        self._lines -= lines
        now_us = self._clock.now_us()
        for name in dict.fromkeys(piece.device_type for piece in group):
            mine = [piece for piece in group if piece.device_type == name]
            if not self._take_pieces(name, mine, now_us) and len(mine) > 1:
                for (
                    piece
                ) in mine:  # one of them is at fault: each by itself, so that the others do not pay for it
                    self._take_pieces(name, [piece], now_us)
        self._wake_followers()

    def _take_pieces(self, name: str, pieces: Sequence[_Piece], now_us: int) -> bool:
        """Take pieces in as one batch and answer them. If that is refused, False; a single one gets the refusal."""
        try:
            reply = self._service.write_piece(name, merged([piece.batch for piece in pieces]), now_us, True)
        except Exception as error:
            if len(pieces) == 1:
                if not isinstance(error, FleetError):
                    _log.exception("%s could not apply a batch of %s", self._host.name, name)
                self._refuse(pieces, error if isinstance(error, FleetError) else FaultError(repr(error)))
            return False
        start = 0
        for piece in pieces:
            if not piece.answer.done():
                piece.answer.set_result(_share(reply, start, len(piece.batch), piece.trace))
            start += len(piece.batch)
        self._relay(reply.parents)
        return True

    def _wake_followers(self) -> None:
        """Let those go who wait for an entry; the next ones wait for the next."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _refuse(self, pieces: Sequence[_Piece], error: FleetError) -> None:
        for piece in pieces:
            if not piece.answer.done():
                piece.answer.set_exception(error)

    async def _keep_time(self) -> None:
        """Let time pass, snapshot when a restart would take too long. Whatever fails is tried again."""
        failing = ""
        while True:
            await asyncio.sleep(self._config.tick_every_s)
            try:
                await self.ask("tick", self._clock.now_us())  # a degraded host tries here to write again
                if self._host.snapshot_due and (write := self._host.begin_snapshot()) is not None:
                    await asyncio.to_thread(write)
            except Exception as error:
                if repr(error) != failing:
                    _log.warning("%s: %s", self._host.name, error)
                failing = repr(error)
            else:
                failing = ""

    async def _publish(self) -> None:
        """Show the twins to the live table, again and again. Two generations are kept, the older for slow readers."""
        failing = False
        while True:
            try:
                await self._show()
            except Exception as error:  # the next second tries again: nobody may look at a frozen fleet
                if not failing:
                    _log.exception("%s could not show its twins: %s", self._host.name, error)
                failing = True
            else:
                failing = False
            await asyncio.sleep(self._config.publish_every_s)

    async def _show(self) -> None:
        newest = self._generations[-1] if self._generations else None
        cursor, now_us = self._host.cursor, self._clock.now_us()
        if newest is not None and newest.cursor == cursor:
            self._generations[-1] = replace(newest, at_us=now_us)
            return
        tables = {}  # of several moments, each whole: no type's lines are older than the cursor
        for name, shard in list(self._host.shards.items()):
            tables[name] = await asyncio.to_thread(_put_live, views.glance(shard))
        alerts = ray.put(self._service.alerts())
        number = 1 if newest is None else newest.number + 1
        self._generations.append(Published(number, self._started_us, cursor, now_us, tables, alerts))

    def _relay(self, parents: Sequence[tuple[str, int]]) -> None:
        """Have every host told the state of devices that have children; a newer state takes an older one's place."""
        if parents:
            self._untold.update(parents)
            self._something_to_tell.set()

    async def _tell_children(self) -> None:
        """Tell, in order, until every host has heard; and all of it once a minute, for hosts that came since."""
        told_us = 0
        while True:
            now_us = self._clock.now_us()
            if now_us - told_us > _RETELL_EVERY_S * SECOND_US:
                told_us = now_us
                self._relay(self._service.parents_now())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._something_to_tell.wait(), _RETELL_EVERY_S)
            self._something_to_tell.clear()
            telling, self._untold = self._untold, {}
            try:
                for name in await asyncio.to_thread(_actor_names):
                    for parent_id, flags in telling.items():
                        await self._tell(name, parent_id, flags)
            except Exception as error:
                _log.info(
                    "%s: children of %d devices are told later: %s", self._host.name, len(telling), error
                )
                self._untold = {**telling, **self._untold}
                await asyncio.sleep(1.0)
                self._something_to_tell.set()

    async def _tell(self, name: str, parent_id: str, flags: int) -> None:
        self._told += 1
        command = c.SetParentState(
            command_id=f"{self._host.name}-{self._started_us}-{self._told}",
            by="system",
            parent_id=parent_id,
            flags=flags,
        )
        if name == self._host.name:
            await self.command(command)
        else:
            await ray.get_actor(name, NAMESPACE).command.remote(command)

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("%s: %s", self._host.name, task.exception())


def _put_live(seen: views.Glance) -> Any:
    return ray.put(views.shaped(seen))


def _share(reply: HostReply, start: int, lines: int, trace: bool) -> HostReply:
    """One piece's part of the reply to a group."""
    assert reply.results is not None
    mine = reply.results.lines(start, start + lines)
    return HostReply(
        cursor=reply.cursor,
        counts=np.bincount(mine.fate, minlength=len(reply.counts)),
        results=mine if trace else None,
        events=reply.events if trace else [],
        parents=[],
    )


def host_actors() -> dict[str, Any]:
    """The handles of all hosts that are up, by name, in the order of their numbers."""
    return {name: ray.get_actor(name, NAMESPACE) for name in _actor_names()}


class ActorSource:
    """A host's journal read through its actor, wherever that runs.

    Parameters
    ----------
    actor : the host's name
    timeout_s : how long an answer may take
    """

    def __init__(self, actor: str, timeout_s: float = 5.0) -> None:
        self.actor = actor
        self._timeout_s = timeout_s

    def read_after(self, cursor: int, limit: int) -> list[StoredEntry]:
        """Entries that follow ``cursor``, oldest first.

        Raises
        ------
        DegradedError : the actor does not answer.
        """
        try:
            actor = ray.get_actor(self.actor, NAMESPACE)
            page: list[StoredEntry] = ray.get(
                actor.follow.remote(cursor, limit, 0.0), timeout=self._timeout_s
            )
        except ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except (ray.exceptions.RayError, ValueError) as error:
            raise DegradedError(f"{self.actor} does not answer: {error}") from error
        return page


def _actor_names() -> list[str]:
    found = ray.util.list_named_actors(all_namespaces=True)
    names = [each["name"] for each in found if each["namespace"] == NAMESPACE]
    return sorted((name for name in names if name.startswith("host-")), key=host_number)


def host_name(number: int) -> str:
    """The name of a host's actor and folder."""
    return f"host-{number:03d}"


def host_number(name: str) -> int:
    """The number in a host's name."""
    return int(name.removeprefix("host-"))


@dataclass(frozen=True, slots=True)
class _Away:
    """In place of an answer: the host could not be asked, or nothing is known of what it did."""

    reason: str


def _told(answer: Any) -> Any:
    return DegradedError(answer.reason) if isinstance(answer, _Away) else answer


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


class RayHosts:
    """The hosts of a fleet in Ray actors: detached, named, restarted by Ray. Found by name, whoever started them.

    Parameters
    ----------
    placement : where each actor runs and which folder it has there
    config : of the actors that are started from here
    """

    def __init__(self, placement: Placement, config: ActorConfig) -> None:
        self._placement = placement
        self._config = config
        self._handles: dict[int, Any] = {}

    def numbers(self) -> list[int]:
        return [host_number(name) for name in _actor_names()]

    def start(self, number: int) -> None:
        name = host_name(number)
        actor: Any = ShardActor
        place = self._placement.place(name)
        self._handles[number] = actor.options(
            name=name, namespace=NAMESPACE, lifetime="detached", get_if_exists=True, max_concurrency=1000,
            label_selector=dict(place.labels),
        ).remote(name, place.home, self._config)  # fmt: skip

    def ask(self, calls: Sequence[Call], patience_s: float | None = None) -> list[Any]:
        if patience_s is None:
            sent = [(host, self._send(host, method, arguments)) for host, method, arguments in calls]
            return [_told(self._answer(host, ref)) for host, ref in sent]
        until_s = stopwatch_s() + patience_s
        answers: list[Any] = [None] * len(calls)
        todo = list(range(len(calls)))
        while todo:  # a host that restarts is asked again: whatever is asked with patience may be asked twice
            refs = {at: self._send(*calls[at]) for at in todo}
            waiting = [ref for ref in refs.values() if isinstance(ref, ray.ObjectRef)]
            left_s = max(0.0, until_s - stopwatch_s())
            in_time = (
                set(ray.wait(waiting, num_returns=len(waiting), timeout=left_s)[0]) if waiting else set()
            )
            for at, ref in refs.items():
                if isinstance(ref, _Away) or ref in in_time:
                    answers[at] = self._answer(calls[at][0], ref)
                else:
                    answers[at] = _Away(f"{host_name(calls[at][0])} did not answer within {patience_s:g} s")
            todo = [at for at in todo if isinstance(answers[at], _Away)]
            if not todo or stopwatch_s() + _ASK_AGAIN_S > until_s:
                break
            time.sleep(_ASK_AGAIN_S)
        return [_told(answer) for answer in answers]

    def handle(self, number: int) -> Any:
        """The actor; DegradedError if there is none."""
        if number not in self._handles:
            try:
                self._handles[number] = ray.get_actor(host_name(number), NAMESPACE)
            except ValueError as error:
                raise DegradedError(f"{host_name(number)} is not up") from error
        return self._handles[number]

    def is_alone(self) -> bool:
        try:
            named = ray.get_actor(REGISTRAR, NAMESPACE)
        except (ValueError, ray.exceptions.RayError):
            return False
        return bool(named == ray.get_runtime_context().current_actor)

    def _send(self, host: int, method: str, arguments: tuple[Any, ...]) -> Any:
        """A reference to the answer, or ``_Away``. Actors have their own clock."""
        try:
            actor = self.handle(host)
        except DegradedError as error:
            return _Away(error.reason)
        match method:
            case "write":
                device_type, batch, _, trace = arguments
                return actor.write.remote(device_type, batch, trace)
            case "command":
                return actor.command.remote(arguments[0])
            case "register":
                return actor.register.remote(*arguments[:2])
            case "status":
                return actor.status.remote()
            case _:
                return actor.ask.remote(method, *arguments)

    def _answer(self, host: int, ref: Any) -> Any:
        if isinstance(ref, _Away):
            return ref
        try:
            return ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            return error.cause if isinstance(error.cause, FleetError) else error
        except ray.exceptions.RayError as error:
            if isinstance(error, ray.exceptions.ActorDiedError):
                self._handles.pop(host, None)  # another of this name may be up by the next call
            return _Away(f"{host_name(host)} does not answer: {_first_line(error)}")


@ray.remote(max_restarts=-1, max_task_retries=-1, num_cpus=0, concurrency_groups={"change": 16, "look": 8})
class Registrar:
    """The owner of the cluster's membership: one process, by name. What it knows, it learns from the hosts' journals.

    It may be killed at any moment: Ray restarts it and repeats the calls that were under way, which finish what was begun.
    """

    def __init__(self, placement: Placement, twins_per_host: int, config: ActorConfig) -> None:
        hosts = RayHosts(placement, config)
        self._membership = Membership(hosts, twins_per_host, WallClock(), _HOST_ANSWERS_S)
        threading.Thread(target=self._keep_whole, name="learn", daemon=True).start()

    def _keep_whole(self) -> None:
        """Learn ahead of the first who asks, and again while there is a host of which not all is known."""
        told = ""
        while True:
            if not self._membership.is_whole:
                try:
                    self._membership.learn()
                except Exception as error:  # whoever registers is told
                    if str(error) != told:
                        _log.error("the registrar does not know all devices: %s", error)
                    told = str(error)
                else:
                    told = ""
            time.sleep(_DOUBT_LASTS_S)

    @ray.method(concurrency_group="change")  # type: ignore[untyped-decorator]
    def learn(self) -> None:
        """Compare what is known with what every host holds."""
        self._membership.learn()

    @ray.method(concurrency_group="change")  # type: ignore[untyped-decorator]
    def register(self, pieces: Sequence[Entrants], by: str, command_id: str) -> dict[int, int]:
        return self._membership.register(pieces, by, command_id)

    @ray.method(concurrency_group="change")  # type: ignore[untyped-decorator]
    def install(self, device_type: DeviceType, by: str, command_id: str) -> dict[int, int]:
        return self._membership.install(device_type, by, command_id)

    @ray.method(concurrency_group="change")  # type: ignore[untyped-decorator]
    def update(self, command: c.UpdateDevice) -> dict[int, int]:
        return self._membership.update(command)

    @ray.method(concurrency_group="look")  # type: ignore[untyped-decorator]
    def changes(self, life: str, known: int, types_version: int) -> Changes:
        return self._membership.changes(life, known, types_version)

    @ray.method(concurrency_group="look")  # type: ignore[untyped-decorator]
    def status(self) -> dict[str, Any]:
        """What it knows, see ``Membership.status``, and its ``pid``."""
        return {**self._membership.status(), "pid": os.getpid()}


class RayFleet(Fleet):
    """The fleet over ``ShardActor``s and their ``Registrar``.

    Parameters
    ----------
    folder : where each actor keeps its own ``host-NNN`` folder, on the node it runs on
    config : hosts and tolerances
    create : bring missing actors up; a client that joins a running fleet leaves it off
    placement : where each actor runs and which folder it has there; None: anywhere, in ``folder``
    labels : of the nodes that the registrar may run on, where places are written down; none: any

    Raises
    ------
    DegradedError : there is no fleet to join.
    """

    def __init__(
        self,
        folder: Path,
        config: FleetConfig | None = None,
        actor: ActorConfig | None = None,
        clock: Clock | None = None,
        create: bool = False,
        placement: Placement | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        config = config or FleetConfig()
        actor = actor or ActorConfig(host=config.host)
        placement = placement or OneFolder(folder)
        self._ray_hosts = RayHosts(placement, actor)
        super().__init__(self._ray_hosts, config, clock)
        self.folder = folder
        self._registrar: Any = None
        self._types_version = -1
        self._count = 0
        self._learning = threading.Lock()
        self._refresher = Refresher(self._learn_more, _LOOKS_EVERY_S, _LOOKS_REST_S)
        self._relearner = Refresher(self._learn_anew, _RELEARNS_EVERY_S)
        if create:
            self._create(placement, actor, labels or {})
        self._learn_more()

    def _create(self, placement: Placement, actor: ActorConfig, labels: Mapping[str, str]) -> None:
        """Bring hosts up, as many as are wanted or have a place, and the registrar; wait until all are restored."""
        wanted = max([self.config.hosts, *(host_number(name) + 1 for name in placement.settled())])
        for number in range(wanted):
            self._ray_hosts.start(number)
        registrar: Any = Registrar
        self._registrar = registrar.options(
            name=REGISTRAR, namespace=NAMESPACE, lifetime="detached", get_if_exists=True,
            label_selector=dict(labels),
        ).remote(placement, self.config.twins_per_host, actor)  # fmt: skip
        ray.get([self._ray_hosts.handle(number).ready.remote() for number in range(wanted)])
        with contextlib.suppress(DegradedError):  # a state to be seen, no reason to keep the other hosts away
            self._ask_registrar("learn")

    def actors(self) -> list[Any]:
        """The actor handles, by host number."""
        return [self._ray_hosts.handle(number) for number in self.hosts()]

    def hosts(self) -> list[int]:
        return list(range(self._count))

    def install(
        self, device_type: DeviceType, by: str = "system", command_id: str | None = None
    ) -> dict[int, int]:
        return self._change("install", device_type, by, command_id or self.command_id())

    def register(
        self, devices: Sequence[Device], by: str = "system", command_id: str | None = None
    ) -> dict[int, int]:
        pieces = entrants(devices, ray.put if len(devices) > _INLINE else tuple)
        return self._change("register", pieces, by, command_id or self.command_id())

    def change(self, command: c.UpdateDevice) -> dict[int, int]:
        return self._change("update", command)

    def refresh(self) -> None:
        self._refresher()

    def relearn(self) -> None:
        self._relearner()

    def close(self) -> None:
        """Snapshot every host, let the journals go and end the actors."""
        with contextlib.suppress(ValueError):
            ray.kill(ray.get_actor(REGISTRAR, NAMESPACE))
        actors = list(host_actors().values())
        ray.get([actor.close.remote() for actor in actors])
        for actor in actors:
            ray.kill(actor)

    def _change(self, method: str, *arguments: Any) -> dict[int, int]:
        try:
            cursors: dict[int, int] = self._ask_registrar(method, *arguments)
        finally:
            with contextlib.suppress(DegradedError):  # then the next look learns of it
                self.refresh()
        return cursors

    def _learn_more(self) -> None:
        with self._learning:
            life, known = self.directory.version
            changes: Changes = self._ask_registrar(
                "changes", life, known, self._types_version, patience_s=_REGISTRAR_ANSWERS_S
            )
            self._take(changes)
            self._types_version, self._count = changes.types_version, changes.hosts

    def _learn_anew(self) -> None:
        """The registrar compares with the hosts first: what it knows may be of another life too."""
        self._ask_registrar("learn")
        self._learn_more()

    def _ask_registrar(self, method: str, *arguments: Any, patience_s: float | None = None) -> Any:
        """Call the owner of the membership. A call that a crash of it cuts short is made again by Ray."""
        try:
            if self._registrar is None:
                self._registrar = ray.get_actor(REGISTRAR, NAMESPACE)
            return ray.get(getattr(self._registrar, method).remote(*arguments), timeout=patience_s)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, FleetError):
                raise error.cause from None
            raise
        except ValueError as error:
            raise DegradedError("no fleet is up: there is no registrar") from error
        except ray.exceptions.RayError as error:
            if isinstance(error, ray.exceptions.ActorDiedError):
                self._registrar = None
            raise DegradedError(f"the fleet's registrar does not answer: {_first_line(error)}") from error
