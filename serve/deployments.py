"""The Ray Serve applications: ``api`` and ``live``, the same app twice, so that they scale and fail apart.

A replica holds no truth: it finds the shards' actors by name and reads history from its folder. Readings come
in through ``api`` for now. The proxy in front is HAProxy where Ray brings it along; it must be asked for in the
environment before Ray is imported, see ``cluster/bringup.py``.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import ray
from ray import serve as ray_serve
from ray.serve.api import RunTarget
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.app import create_app
from serve.context import ApiConfig, Context
from serve.live import Generation, LiveTable
from training.history import History
from twins.actors import NAMESPACE, Published, RayFleet
from twins.errors import DegradedError
from twins.journal import StoredEntry

API: Final = "api"
LIVE: Final = "live"
STATIC: Final = Path(__file__).parent / "static"

_ANSWER_S: Final = 5.0
_ONGOING: Final = 2_000
_HEALTH_EVERY_S: Final = 5.0
_LAST_REQUESTS_S: Final = 1.0


class PublishedSource:
    """The live tables that the shards' actors publish, mapped from the object store without a copy.

    A host that does not answer is shown as it last was, and marked so.
    """

    def __init__(self, fleet: RayFleet) -> None:
        self._fleet = fleet
        self._last: dict[int, Generation] = {}

    def newest(self) -> list[Generation]:
        asked = [actor.published.remote() for actor in self._fleet.actors()]
        ready, _ = ray.wait(asked, num_returns=len(asked), timeout=_ANSWER_S) if asked else ([], [])
        for host, ref in enumerate(asked):
            try:
                if ref not in ready:
                    raise DegradedError(f"host {host} does not answer")
                self._learn(host, ray.get(ref))
            except (ray.exceptions.RayError, DegradedError):
                if host in self._last:
                    self._last[host] = replace(self._last[host], reachable=False)
        return list(self._last.values())

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
        *tables, alerts = ray.get([*(published.tables[name] for name in names), published.alerts])
        shown = dict(zip(names, tables, strict=True))
        self._last[host] = Generation(host, epoch, published.cursor, at_us, shown, alerts if shown else None)


class ActorJournals:
    """The journals of the shards' actors, which wait for entries themselves."""

    def __init__(self, fleet: RayFleet) -> None:
        self._fleet = fleet

    async def follow(self, host: int, cursor: int, limit: int, wait_s: float) -> Sequence[StoredEntry]:
        actors = self._fleet.actors()
        if host >= len(actors):
            raise DegradedError(f"host {host} is not known here yet")
        try:
            page: list[StoredEntry] = await actors[host].follow.remote(cursor, limit, wait_s, False)
        except ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except ray.exceptions.RayActorError as error:
            raise DegradedError(f"host {host} is restarting") from error
        return page


class ActorSource:
    """One actor's journal for history: what is not recorded yet."""

    def __init__(self, name: str) -> None:
        self.actor = name

    def read_after(self, cursor: int, limit: int) -> list[StoredEntry]:
        try:
            actor = ray.get_actor(self.actor, NAMESPACE)
            page: list[StoredEntry] = ray.get(actor.follow.remote(cursor, limit, 0.0), timeout=_ANSWER_S)
        except ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except (ray.exceptions.RayError, ValueError) as error:
            raise DegradedError(f"{self.actor} does not answer: {error}") from error
        return page


class Unmounted:
    """The app under whatever prefix Serve mounts it: it names its paths in full itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope["root_path"] = ""
        await self._app(scope, receive, send)


def build_app(data: Path, config: ApiConfig) -> ASGIApp:
    """The app of one replica, over the running platform."""
    fleet = RayFleet(data / "hosts", create=False)
    names = [f"host-{number:03d}" for number in range(len(fleet.actors()))]
    history = History(data / "history", [ActorSource(name) for name in names])
    live = LiveTable(PublishedSource(fleet))

    def journals(_: Context) -> ActorJournals:
        return ActorJournals(fleet)

    return Unmounted(create_app(config, fleet, history, live, journals, fleet.refresh))


def applications(data: Path, config: ApiConfig) -> list[RunTarget]:
    """What ``serve.run_many`` is given. The longer path wins: sockets go to ``live``, all else to ``api``."""

    def build() -> ASGIApp:
        return build_app(data, config)

    options = {
        "num_replicas": 1,
        "max_ongoing_requests": _ONGOING,
        "ray_actor_options": {"num_cpus": 0},
        "health_check_period_s": _HEALTH_EVERY_S,
        "graceful_shutdown_wait_loop_s": _LAST_REQUESTS_S,
        "graceful_shutdown_timeout_s": 2 * _LAST_REQUESTS_S,  # sockets never end by themselves
    }
    targets = []
    for name, prefix in ((API, "/"), (LIVE, "/api/live")):
        replica = ray_serve.deployment(name=name, **options)(ray_serve.ingress(build)())
        targets.append(RunTarget(replica.bind(), name, prefix))
    return targets


def run_applications(data: Path, host: str, port: int) -> None:
    """Deploy both and wait until they answer under ``http://host:port``."""
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    ray_serve.start(http_options={"host": host, "port": port})
    static = STATIC if (STATIC / "index.html").is_file() else None
    ray_serve.run_many(applications(data, ApiConfig(static=static)))


def stop_applications() -> None:
    """Take both down; requests under way are finished first."""
    ray_serve.shutdown()
