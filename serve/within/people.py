"""What people set up, as an account sees it that is for some sites: keys, routes of notifications and deliveries, jobs.

A key or route is theirs that names sites, all of which are; a delivery, if all alerts that it names are of these sites; a
job, if they began it. Whatever else there is, is to them not there.
"""

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from serve.accounts import Actor
from serve.errors import KeyNotFoundError, RouteNotFoundError, SitesError
from serve.keys import KEYS_BY, OVERLAP_S, DeviceKey, KeyKind, Keys
from serve.keyset import Spot
from serve.notifications.book import Book, Channel, KeptRoute
from serve.notifications.deliveries import Delivery, deliveries_keyset
from serve.notifications.desk import Desk
from serve.row_pages import RowPage, lines_page
from serve.scopes import Scope
from training.errors import JobNotFoundError
from training.jobs import Job, Runner

_LOOKED_AT: Final = 20_000


class KeysWithin(Keys):
    """The keys of some sites."""

    def __init__(self, keys: Keys, sites: frozenset[str]) -> None:  # not super().__init__(), here as below
        self._keys = keys
        self._sites = sites

    def create(
        self,
        name: str,
        scope: Scope,
        actor: Actor,
        lasts_s: float | None = None,
        kind: KeyKind = "readings",
    ) -> tuple[DeviceKey, str]:
        """As the whole does. Raises SitesError unless the key names sites, all of them these."""
        if not self._is_mine(scope):
            foreign = sorted(set(scope.sites) - self._sites)
            needed = f"site {foreign[0]!r}" if foreign else "keys that name no sites"
            raise SitesError(needed, tuple(sorted(self._sites)))
        return self._keys.create(name, scope, actor, lasts_s, kind)

    def rotate(self, key: str, actor: Actor, overlap_s: float = OVERLAP_S) -> tuple[DeviceKey, str]:
        self.get(key)
        return self._keys.rotate(key, actor, overlap_s)

    def revoke(self, key: str, actor: Actor) -> DeviceKey:
        self.get(key)
        return self._keys.revoke(key, actor)

    def get(self, key: str) -> DeviceKey:
        found = self._keys.get(key)
        if not self._is_mine(found.scope):
            raise KeyNotFoundError(key)
        return found

    def all(self) -> list[DeviceKey]:
        return [key for key in self._keys.all() if self._is_mine(key.scope)]

    def page(self, spot: Spot) -> RowPage[DeviceKey]:
        return lines_page(self.all(), spot.of(*KEYS_BY), lambda key: {"id": key.id})

    def _is_mine(self, scope: Scope) -> bool:
        return bool(scope.sites) and self._sites.issuperset(scope.sites)


class BookWithin(Book):
    """Channels, and the routes of some sites. Channels are the platform's; who may change them is for all sites."""

    def __init__(self, book: Book, sites: frozenset[str]) -> None:
        self._book = book
        self._sites = sites

    def channels(self) -> list[Channel]:
        return self._book.channels()

    def channel(self, channel_id: str) -> Channel:
        return self._book.channel(channel_id)

    def routes(self) -> list[KeptRoute]:
        return [route for route in self._book.routes() if self._is_mine(route.document)]

    def route(self, route_id: str) -> KeptRoute:
        found = self._book.route(route_id)
        if not self._is_mine(found.document):
            raise RouteNotFoundError(route_id)
        return found

    def add_route(self, document: Mapping[str, Any], enabled: bool, actor: Actor) -> KeptRoute:
        self._check(document)
        return self._book.add_route(document, enabled, actor)

    def change_route(
        self, route_id: str, expected: int | None, document: Mapping[str, Any], enabled: bool, actor: Actor
    ) -> KeptRoute:
        self.route(route_id)
        self._check(document)
        return self._book.change_route(route_id, expected, document, enabled, actor)

    def remove_route(self, route_id: str, expected: int | None, actor: Actor) -> None:
        self.route(route_id)
        self._book.remove_route(route_id, expected, actor)

    def _is_mine(self, document: Mapping[str, Any]) -> bool:
        return bool(document["sites"]) and self._sites.issuperset(document["sites"])

    def _check(self, document: Mapping[str, Any]) -> None:
        if not self._is_mine(document):
            foreign = sorted(set(document["sites"]) - self._sites)
            needed = f"site {foreign[0]!r}" if foreign else "routes that name no sites"
            raise SitesError(needed, tuple(sorted(self._sites)))


class DeskWithin(Desk):
    """The deliveries that are about alerts of some sites, and tests."""

    def __init__(self, desk: Desk, sites: frozenset[str]) -> None:
        self._desk = desk
        self._sites = sites

    def deliveries(
        self,
        spot: Spot = Spot(),  # noqa: B008  # frozen
        alert: str | None = None,
        state: str | None = None,
    ) -> RowPage[Delivery]:
        """As the whole does; looks at the newest twenty thousand."""
        newest = self._desk.deliveries(Spot(_LOOKED_AT), alert, state).items
        mine = [each for each in newest if self._is_mine(each)]
        return lines_page(mine, deliveries_keyset(spot, alert, state), lambda each: {"number": each.number})

    def tried(
        self,
        channel: str,
        test_id: str,
        message: Mapping[str, Any],
        took: bool,
        said: str,
        by: str,
        address: str,
    ) -> Delivery:
        return self._desk.tried(channel, test_id, message, took, said, by, address)

    def _is_mine(self, delivery: Delivery) -> bool:
        alerts = delivery.message["alerts"]
        return bool(alerts) and all(each["site"] in self._sites for each in alerts)


class JobsWithin(Runner):
    """The jobs that one account began."""

    def __init__(self, jobs: Runner, name: str, sites: frozenset[str]) -> None:
        self._jobs = jobs
        self._name = name
        self._sites = sites

    def submit(self, kind: str, request: Mapping[str, Any], by: str) -> NoReturn:
        """A job works on what it likes. Raises SitesError."""
        raise SitesError("all sites", tuple(sorted(self._sites)))

    def list(self) -> "list[Job]":
        return [job for job in self._jobs.list() if job.by == self._name]

    def get(self, job_id: str) -> Job:
        found = self._jobs.get(job_id)
        if found.by != self._name:
            raise JobNotFoundError(job_id)
        return found

    def follow(self, job_id: str, version: int, wait_s: float) -> Job:
        self.get(job_id)
        return self._jobs.follow(job_id, version, wait_s)

    def cancel(self, job_id: str) -> Job:
        self.get(job_id)
        return self._jobs.cancel(job_id)
