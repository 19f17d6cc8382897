"""The fleet over Ray: hosts in ``ShardActor``s, membership with the ``Registrar``; for any process of the cluster."""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ray

from twins import commands as c
from twins.actors import NAMESPACE, ActorConfig, ShardActor, host_actors, host_name, host_names, host_number
from twins.clock import Clock, WallClock, stopwatch_s
from twins.devices import Device, DeviceType
from twins.errors import DegradedError, FleetError
from twins.fleet import Fleet, FleetConfig
from twins.membership import Call, Changes, Entrants, Membership, entrants
from twins.placement import OneFolder, Placement
from twins.refresher import Refresher

REGISTRAR: Final = "registrar"

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
        self.fork_lead_us = 100_000
        self._placement = placement
        self._config = config
        self._handles: dict[int, Any] = {}

    def numbers(self) -> list[int]:
        return [host_number(name) for name in host_names()]

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
            sent = [
                (host, self._send(self._found(host), method, arguments)) for host, method, arguments in calls
            ]
            return [_told(self._answer(host, ref)) for host, ref in sent]
        until_s = stopwatch_s() + patience_s
        answers: list[Any] = [None] * len(calls)
        todo = list(range(len(calls)))
        while todo:  # a host that restarts is asked again: whatever is asked with patience may be asked twice
            refs = {at: self._send(self._found(calls[at][0]), *calls[at][1:]) for at in todo}
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

    async def ask_async(self, calls: Sequence[Call]) -> list[Any]:
        actors = {
            host: self._handles.get(host) or await asyncio.to_thread(self._found, host)
            for host in {host for host, _, _ in calls}
        }
        sent = [(host, self._send(actors[host], method, arguments)) for host, method, arguments in calls]
        return [_told(await self._answer_async(host, ref)) for host, ref in sent]

    def _found(self, host: int) -> Any:
        """The actor, or ``_Away``. To look for one takes its time."""
        try:
            return self.handle(host)
        except DegradedError as error:
            return _Away(error.reason)
        except ray.exceptions.RayError as error:
            return _Away(f"{host_name(host)} cannot be looked for: {_first_line(error)}")

    def handle(self, number: int) -> Any:
        """The actor; DegradedError if there is none."""
        found = self._handles.get(number)
        if found is None:
            try:
                found = self._handles[number] = ray.get_actor(host_name(number), NAMESPACE)
            except ValueError as error:
                raise DegradedError(f"{host_name(number)} is not up") from error
        return found

    def is_alone(self) -> bool:
        try:
            named = ray.get_actor(REGISTRAR, NAMESPACE)
        except (ValueError, ray.exceptions.RayError):
            return False
        return bool(named == ray.get_runtime_context().current_actor)

    def _send(self, actor: Any, method: str, arguments: tuple[Any, ...]) -> Any:
        """A reference to the answer, or ``_Away``. Actors have their own clock."""
        if isinstance(actor, _Away):
            return actor
        match method:
            case "write":
                device_type, batch, _, trace = arguments
                return actor.write.remote(device_type, batch, trace)
            case "command":
                return actor.command.remote(arguments[0])
            case "commands":
                return actor.commands.remote(arguments[0])
            case "score":
                return actor.score.remote(arguments[0])
            case "fork":
                return actor.fork.remote(*arguments)
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
        except ray.exceptions.RayError as error:
            return self._failure(host, error)

    async def _answer_async(self, host: int, ref: Any) -> Any:
        if isinstance(ref, _Away):
            return ref
        try:
            return await ref
        except ray.exceptions.RayError as error:
            return self._failure(host, error)

    def _failure(self, host: int, error: Exception) -> Any:
        """What came instead of an answer: what the host refused, or ``_Away``."""
        if isinstance(error, ray.exceptions.RayTaskError):
            return error.cause if isinstance(error.cause, FleetError) else error
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
