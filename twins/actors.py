"""Shards in Ray actors: a process, a journal, a clock and a place for each host.

``ShardActor`` gives a ``ShardHost`` its process. It takes work in bounded pieces, so that a read by id, a command or a fork
never waits behind a second's worth of rows, and gathers what waits into one commit. The fleet over these actors is
``ray_fleet.py``; the two are the only modules of the package that know Ray, besides the runner of what-if experiments.
"""

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import ray

from twins import commands as c
from twins import packing, views
from twins.clock import SECOND_US, WallClock
from twins.devices import Device
from twins.entries import EntryKind
from twins.errors import DegradedError, FaultError, FleetError, OverloadedError
from twins.host import HostConfig, HostStatus, ShardHost, note_seen
from twins.journal import StoredEntry
from twins.placement import Home
from twins.prognosis import Prognoses
from twins.readings import ShardBatch, merged
from twins.service import LINES_AT_ONCE, Chunk, Copied, HostReply, HostService, joined
from twins.snapshots import newest_block
from twins.warmup import compile_kernels

NAMESPACE: Final = "twinfold"

MOST_LINES_WAITING: Final = 2_000_000
"""Readings that may wait in an actor; more are refused until some are taken in."""

_RETELL_EVERY_S: Final = 60.0

_log = logging.getLogger("twinfold.actors")

_TURN_S: Final = 0.0005


def take_short_turns() -> None:
    """Have the threads of this process take turns often. An answer is made by several, one after the other, and at Python's
    own 5 ms each of them may wait that long for one that calculates."""
    sys.setswitchinterval(_TURN_S)


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


@dataclass(slots=True, eq=False)
class _Barrier:
    """A moment as of which twins are to be copied, and whoever waits for the copies."""

    at_us: int
    copied: "asyncio.Future[Copied]"


@ray.remote(max_restarts=-1, max_task_retries=0, num_cpus=0)
class ShardActor:
    """A host in a process of its own. The constructor never raises: restoring is a task, failure a state to be seen.

    Calls are not repeated by Ray: who calls an actor that is away is told so in seconds, and asks again when that suits.
    Everything that changes something may be asked twice.
    """

    def __init__(self, name: str, home: Home, config: ActorConfig) -> None:
        take_short_turns()
        self._config = config
        self._clock = WallClock()
        self._home = home
        self._host = ShardHost(name, home.hosts() / name, config.host, home.check)
        self._service = HostService(self._host)
        self._started_us = self._clock.now_us()
        self._waiting: deque[_Piece] = deque()
        self._lines = 0  # that wait
        self._barriers: list[_Barrier] = []  # in the order in which they were asked for
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
        self._pass_barriers(self._clock.now_us())
        answer = getattr(self._service, method)(*arguments)
        if isinstance(answer, HostReply):
            self._relay(answer.parents)
            self._wake_followers()
        return answer

    async def command(self, command: c.Command) -> HostReply:
        """Do what is asked, on the actor's own clock."""
        reply: HostReply = await self.ask("command", command, self._clock.now_us())
        return reply

    async def commands(self, commands: Sequence[c.Command]) -> HostReply:
        """Do several things, on the actor's own clock."""
        reply: HostReply = await self.ask("commands", commands, self._clock.now_us())
        return reply

    async def score(self, told: Prognoses) -> HostReply:
        """Keep forecasts, on the actor's own clock."""
        reply: HostReply = await self.ask("score", told, self._clock.now_us())
        return reply

    async def fork(self, at_us: int) -> Copied:
        """Copies of all twins as of ``at_us``: taken then, before anything that comes later."""
        await self._opened.wait()
        barrier = _Barrier(at_us, asyncio.get_running_loop().create_future())
        self._barriers.append(barrier)
        await asyncio.sleep(max(0, at_us - self._clock.now_us()) / SECOND_US)
        self._pass_barriers(max(at_us, self._clock.now_us()))
        return await barrier.copied

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
        self._pass_barriers(now_us)
        for name in dict.fromkeys(piece.device_type for piece in group):
            mine = [piece for piece in group if piece.device_type == name]
            if not self._take_pieces(name, mine, now_us) and len(mine) > 1:
                for (
                    piece
                ) in mine:  # one of them is at fault: each by itself, so that the others do not pay for it
                    self._take_pieces(name, [piece], now_us)
        self._wake_followers()

    def _pass_barriers(self, now_us: int) -> None:
        """Copy the twins for forks that are due, before what comes now changes them."""
        while self._barriers and self._barriers[0].at_us <= now_us:
            barrier = self._barriers.pop(0)
            try:
                copied = self._service.fork(barrier.at_us)
            except FleetError as error:
                if not barrier.copied.done():
                    barrier.copied.set_exception(error)
                continue
            self._relay(copied.reply.parents)
            self._wake_followers()
            if not barrier.copied.done():
                barrier.copied.set_result(copied)

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
                if self._host.snapshot_due:
                    room = await asyncio.to_thread(packing.room, self._host.snapshot_bytes)
                    if (write := self._host.begin_snapshot(room)) is not None:
                        await asyncio.to_thread(write)
                    del room, write
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
        alerts = await asyncio.to_thread(ray.put, self._service.alerts())
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
                for name in await asyncio.to_thread(host_names):
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
    return {name: ray.get_actor(name, NAMESPACE) for name in host_names()}


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


def host_names() -> list[str]:
    """The names of all hosts that are up, in the order of their numbers."""
    found = ray.util.list_named_actors(all_namespaces=True)
    names = [each["name"] for each in found if each["namespace"] == NAMESPACE]
    return sorted((name for name in names if name.startswith("host-")), key=host_number)


def host_name(number: int) -> str:
    """The name of a host's actor and folder."""
    return f"host-{number:03d}"


def host_number(name: str) -> int:
    """The number in a host's name."""
    return int(name.removeprefix("host-"))
