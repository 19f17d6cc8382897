"""One replica of the edge on Ray: an app over what it finds by name, hosts, jobs and history.

A replica holds no truth.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import ray
from ray import serve as ray_serve
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.access import FOLDER, Access
from serve.app import create_app
from serve.config import ApiConfig, DatabaseConfig
from serve.context import Context
from serve.database import Database
from serve.live import Generation, LiveTable
from serve.system import Part, part
from training.history import History
from training.jobs import ACTOR, Job
from training.registry import FOLDER as MODELS
from training.registry import Registry
from twins.actors import NAMESPACE, ActorSource, Published, host_actors, host_number, take_short_turns
from twins.clock import stopwatch_s
from twins.errors import DegradedError
from twins.journal import StoredEntry
from twins.placement import Placement
from twins.ray_fleet import RayFleet

_ANSWER_S: Final = 5.0
_LOOK_EVERY_S: Final = 5.0
_SERVICES: Final = {
    "recorder": True,
    "notifier": True,
    ACTOR: True,
    "scorer": True,
    "mqtt": False,
    "traffic": False,
}
"""Names of the platform's own actors, and whether each is always there."""

_log = logging.getLogger("twinfold.replica")


class Hosts:
    """The hosts that are up, by number; whoever added them, they are found by name.

    Parameters
    ----------
    arrived : is told the name of each host that is found
    find : gives the handles of all hosts that are up, by name
    """

    def __init__(
        self, arrived: Callable[[str], None], find: Callable[[], Mapping[str, Any]] = host_actors
    ) -> None:
        self.handles: dict[int, Any] = {}
        self._arrived = arrived
        self._find = find
        self._looked_s = -math.inf

    def look(self) -> None:
        """Find those that are new, unless that was done just now. One that is gone stays known."""
        if stopwatch_s() - self._looked_s < _LOOK_EVERY_S:
            return
        for name, handle in self._find().items():
            number = host_number(name)
            if number not in self.handles:
                self._arrived(name)
            self.handles[number] = handle
        self._looked_s = stopwatch_s()


class PublishedSource:
    """The live tables that the shards' actors publish, mapped from the object store without a copy.

    A host that does not answer is shown as it last was, and marked so. It is waited for once; from then on the others do
    not wait for it, until its answer is there.
    """

    def __init__(self, hosts: Hosts, patience_s: float = _ANSWER_S) -> None:
        self._hosts = hosts
        self._patience_s = patience_s
        self._last: dict[int, Generation] = {}
        self._asked: dict[int, Any] = {}
        self._silent: set[int] = set()

    def newest(self) -> list[Generation]:
        try:
            self._hosts.look()
        except (ray.exceptions.RayError, ValueError) as error:  # one went while it was asked for
            _log.info("not all hosts were found: %s", error)
        for host, handle in self._hosts.handles.items():
            if host not in self._asked:
                self._asked[host] = handle.published.remote()
        for host in self._answered():
            try:
                self._learn(host, ray.get(self._asked.pop(host)))
                self._silent.discard(host)
            except (ray.exceptions.RayError, DegradedError):
                self._miss(host)
        for host in self._asked:
            self._miss(host)
        return list(self._last.values())

    def _answered(self) -> list[int]:
        """The hosts whose answer is there."""
        expected = [ref for host, ref in self._asked.items() if host not in self._silent]
        if expected:
            ray.wait(expected, num_returns=len(expected), timeout=self._patience_s)
        refs = list(self._asked.values())
        ready = set(ray.wait(refs, num_returns=len(refs), timeout=0)[0]) if refs else set()
        return [host for host, ref in self._asked.items() if ref in ready]

    def _miss(self, host: int) -> None:
        self._silent.add(host)
        if host in self._last and self._last[host].reachable:
            self._last[host] = replace(self._last[host], reachable=False)

    def _learn(self, host: int, published: Published | None) -> None:
        """Map what a host shows, unless that is mapped already."""
        if published is None:
            return
        last = self._last.get(host)
        epoch, at_us = published.epoch, published.at_us
        if last is not None and (last.epoch, last.cursor) == (epoch, published.cursor):
            self._last[host] = replace(last, at_us=at_us, reachable=True)
            return
        names = list(published.tables)
        refs = [*(published.tables[name] for name in names), published.alerts]
        *tables, alerts = ray.get(refs, timeout=self._patience_s)
        shown = dict(zip(names, tables, strict=True))
        self._last[host] = Generation(host, epoch, published.cursor, at_us, shown, alerts if shown else None)


class ActorJournals:
    """The journals of the shards' actors, which wait for entries themselves."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def follow(self, host: int, cursor: int, limit: int, wait_s: float) -> Sequence[StoredEntry]:
        try:
            page: list[StoredEntry] = await self._hosts.handles[host].follow.remote(
                cursor, limit, wait_s, False
            )
        except ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except ray.exceptions.RayActorError as error:
            raise DegradedError(f"host {host} is restarting") from error
        return page


class ActorJobs:
    """The jobs' actor, found by name whenever it is asked: it may have been started again."""

    def submit(self, kind: str, request: Mapping[str, Any], by: str) -> Job:
        job: Job = self._ask("submit", kind, request, by)
        return job

    def list(self) -> "list[Job]":
        jobs: list[Job] = self._ask("list")
        return jobs

    def get(self, job_id: str) -> Job:
        job: Job = self._ask("get", job_id)
        return job

    def follow(self, job_id: str, version: int, wait_s: float) -> Job:
        job: Job = self._ask("follow", job_id, version, wait_s, more_s=wait_s)
        return job

    def cancel(self, job_id: str) -> Job:
        job: Job = self._ask("cancel", job_id)
        return job

    def _ask(self, method: str, *arguments: Any, more_s: float = 0.0) -> Any:
        try:
            actor = ray.get_actor(ACTOR, NAMESPACE)
            return ray.get(getattr(actor, method).remote(*arguments), timeout=_ANSWER_S + more_s)
        except ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except (ray.exceptions.RayError, ValueError) as error:
            raise DegradedError("what runs the jobs does not answer") from error


class ActorParts:
    """Services and applications, found by name whenever they are asked: any may have been started again."""

    def services(self) -> Sequence[Part]:
        asked = {}
        for name, always in _SERVICES.items():
            try:
                asked[name] = ray.get_actor(name, NAMESPACE).status.remote()
            except ValueError:  # there is none of that name
                if always:
                    asked[name] = None
        ray.wait(
            [ref for ref in asked.values() if ref is not None], num_returns=len(asked), timeout=_ANSWER_S
        )
        return [_told(name, ref) for name, ref in asked.items()]

    def applications(self) -> Sequence[Part]:
        found = []
        for name, application in ray_serve.status().applications.items():
            states = list(application.deployments.values())
            replicas = sum(count for each in states for count in each.replica_states.values())
            running = sum(each.replica_states.get("RUNNING", 0) for each in states)
            well = application.status == "RUNNING"
            reason = "" if well else application.message or str(application.status.value).lower()
            facts = {"replicas": replicas, "running": running}
            found.append(Part(name, "ready" if well else "behind", reason, facts))
        return sorted(found, key=lambda each: each.name)


def _told(name: str, ref: Any) -> Part:
    if ref is None:
        return Part(name, "away", "it does not run")
    try:
        return part(name, ray.get(ref, timeout=0))
    except ray.exceptions.RayError as error:
        return Part(name, "away", str(error).partition("\n")[0][:200] or "it does not answer")


class Unmounted:
    """The app under whatever prefix Serve mounts it: it names its paths in full itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope["root_path"] = ""
        await self._app(scope, receive, send)


def build_app(
    data: Path, config: ApiConfig, database: DatabaseConfig, placement: Placement | None = None
) -> ASGIApp:
    """The app of one replica, over the running platform."""
    take_short_turns()
    fleet = RayFleet(data / "hosts", placement=placement)
    history = History(data / "history")
    hosts = Hosts(lambda name: history.add_source(ActorSource(name)))
    live = LiveTable(PublishedSource(hosts))
    live.refresh()

    def journals(_: Context) -> ActorJournals:
        return ActorJournals(hosts)

    access = Access(Database(database), data / FOLDER)
    models = Registry(data / MODELS)
    return Unmounted(
        create_app(config, fleet, history, live, access, ActorJobs(), models, journals, ActorParts())
    )
