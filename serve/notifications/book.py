"""What people set up: channels, which are ways to reach somebody, and routes. Each change is audited in its own transaction.

A channel's secrets go in and never come out: a webhook's path and signing key, an Apprise URL. Who changes something names
the revision that it is a change of, so that two people do not undo each other's work unseen.
"""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    Row,
    String,
    Table,
    Text,
    select,
)

from serve.accounts import ACCOUNTS, Actor, as_sites, name_key
from serve.database import METADATA, Database
from serve.errors import ChannelNotFoundError, RouteNotFoundError, UnfitError
from serve.notifications.receivers import Target, check_target
from serve.notifications.routing import Route, route_of
from serve.revisions import ChangedBy, Revised
from twins.clock import Clock, WallClock

MOST_CHANNELS: Final = 100
MOST_ROUTES: Final = 100

CHANNELS: Final = Table(
    "notification_channels",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("target", Text, nullable=False),
    Column("account", String(100), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("by", String(200), nullable=False),
    Column("changed_us", BigInteger, nullable=False),
)
ROUTES: Final = Table(
    "notification_routes",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("document", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("by", String(200), nullable=False),
    Column("changed_us", BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to reach somebody. ``account`` is whose it is; empty: nobody's."""

    id: str
    name: str
    target: Target
    account: str
    enabled: bool
    revision: int
    by: str
    changed_us: int


@dataclass(frozen=True, slots=True)
class KeptRoute:
    """A route as it was described, and its revision."""

    id: str
    document: Mapping[str, Any]
    enabled: bool
    revision: int
    by: str
    changed_us: int

    @property
    def route(self) -> Route:
        return route_of(self.id, self.document)


class Book:
    """The channels and routes of one platform.

    Parameters
    ----------
    database : where they are
    clock : what time it is
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or WallClock()

    # -- channels --------------------------------------------------------------------------------------------------

    def _as_channel(self, row: Row[Any]) -> Channel:
        said = json.loads(self._database.unseal(row.target, target_place(row.id)))
        target = Target(said["kind"], said["url"], said["key"], tuple(said["to"]))
        return Channel(
            row.id, row.name, target, row.account, row.enabled, row.revision, row.by, row.changed_us
        )

    def _as_kept(self, channel_id: str, target: Target) -> str:
        """A target as it lies in the table: sealed where the data folder is encrypted."""
        kept = {"kind": target.kind, "url": target.url, "key": target.key, "to": target.to}
        return self._database.seal(json.dumps(kept, ensure_ascii=False), target_place(channel_id))

    def channels(self) -> list[Channel]:
        """All, by name."""
        rows = self._database.read(
            lambda c: c.execute(select(CHANNELS).order_by(CHANNELS.c.name, CHANNELS.c.id)).all()
        )
        return [self._as_channel(row) for row in rows]

    def channel(self, channel_id: str) -> Channel:
        """One. Raises ChannelNotFoundError."""
        return self._as_channel(self._database.read(lambda c: _CHANNELS.row(c, channel_id)))

    def add_channel(self, name: str, target: Target, actor: Actor, account: str = "") -> tuple[Channel, str]:
        """A new channel; a webhook gets a key to sign with, which is given this once.

        Raises
        ------
        UnfitError : it cannot be sent to, or belongs to no account.
        CommandRefusedError : there are too many.
        """
        if target.kind == "webhook" and not target.key:
            target = Target(target.kind, target.url, secrets.token_urlsafe(32), target.to)
        check_target(target)
        channel_id = secrets.token_hex(8)
        change = self._change(actor, name=name, kind=target.kind, to=target.shown)

        def work(connection: Connection) -> Channel:
            _CHANNELS.check_room(connection, MOST_CHANNELS)
            _check_account(connection, account)
            values = self._values(channel_id, name, target, account, True)
            return self._as_channel(_CHANNELS.add(connection, channel_id, values, change))

        return self._database.write(work), target.key

    def change_channel(
        self,
        channel_id: str,
        expected: int | None,
        actor: Actor,
        change: Callable[[Channel], tuple[str, Target, str, bool]],
    ) -> Channel:
        """Change one; ``change`` is given what it is now and gives name, target, account and whether it is used.

        Raises
        ------
        ChannelNotFoundError, RevisionConflictError, UnfitError
        """

        def work(connection: Connection) -> Channel:
            row = _CHANNELS.row(connection, channel_id, expected, "change")
            found = self._as_channel(row)
            name, target, account, enabled = change(found)
            check_target(target)
            _check_account(connection, account)
            values = self._values(channel_id, name, target, account, enabled)
            said = self._change(
                actor, name=name, to=target.shown, enabled=enabled, redirected=target != found.target
            )
            return self._as_channel(_CHANNELS.change(connection, row, values, said))

        return self._database.write(work)

    def remove_channel(self, channel_id: str, expected: int | None, actor: Actor) -> None:
        """Take one away; what waits for it fails. Raises as ``change_channel`` does."""

        def work(connection: Connection) -> None:
            row = _CHANNELS.row(connection, channel_id, expected, "remove")
            _CHANNELS.remove(connection, row, self._change(actor, name=row.name))

        self._database.write(work)

    def _values(
        self, channel_id: str, name: str, target: Target, account: str, enabled: bool
    ) -> dict[str, Any]:
        kept = self._as_kept(channel_id, target)
        return {"name": name, "target": kept, "account": account, "enabled": enabled}

    def _change(self, actor: Actor, **said: Any) -> ChangedBy:
        return ChangedBy(actor.name, actor.address, self._clock.now_us(), said)

    # -- routes ----------------------------------------------------------------------------------------------------

    def routes(self) -> list[KeptRoute]:
        """All, by name."""
        return self._database.read(kept_routes)

    def route(self, route_id: str) -> KeptRoute:
        """One. Raises RouteNotFoundError."""
        return as_route(self._database.read(lambda c: _ROUTES.row(c, route_id)))

    def add_route(self, document: Mapping[str, Any], enabled: bool, actor: Actor) -> KeptRoute:
        """A new route. Raises UnfitError, CommandRefusedError."""
        route_id = secrets.token_hex(8)
        wanted = route_of(route_id, document)
        change = self._change(actor, enabled=enabled, route=dict(document))

        def work(connection: Connection) -> KeptRoute:
            _ROUTES.check_room(connection, MOST_ROUTES)
            _check_receivers(connection, wanted)
            return as_route(_ROUTES.add(connection, route_id, _route_values(document, enabled), change))

        return self._database.write(work)

    def change_route(
        self, route_id: str, expected: int | None, document: Mapping[str, Any], enabled: bool, actor: Actor
    ) -> KeptRoute:
        """Put another route in its place. Raises RouteNotFoundError, RevisionConflictError, UnfitError."""
        wanted = route_of(route_id, document)
        change = self._change(actor, enabled=enabled, route=dict(document))

        def work(connection: Connection) -> KeptRoute:
            row = _ROUTES.row(connection, route_id, expected, "change")
            _check_receivers(connection, wanted)
            return as_route(_ROUTES.change(connection, row, _route_values(document, enabled), change))

        return self._database.write(work)

    def remove_route(self, route_id: str, expected: int | None, actor: Actor) -> None:
        """Take one away; nobody is told of what it had still to tell. Raises as ``change_route`` does."""

        def work(connection: Connection) -> None:
            row = _ROUTES.row(connection, route_id, expected, "remove")
            _ROUTES.remove(connection, row, self._change(actor, name=as_route(row).document["name"]))

        self._database.write(work)


_CHANNELS: Final = Revised(CHANNELS, "channel", ChannelNotFoundError)
_ROUTES: Final = Revised(ROUTES, "route", RouteNotFoundError)


def target_place(channel_id: str) -> str:
    """What the sealed target of a channel is bound to."""
    return f"notification_channels/{channel_id}/target"


def kept_routes(connection: Connection) -> list[KeptRoute]:
    """All routes, by name."""
    found = [as_route(row) for row in connection.execute(select(ROUTES)).all()]
    return sorted(found, key=lambda each: (each.document["name"], each.id))


def channels_of(connection: Connection, to: Iterable[str]) -> dict[str, frozenset[str] | None]:
    """The ids of the channels in use that some receivers mean, and of which sites each may be told: its account's; None: of
    all. Those of disabled accounts are left out.
    """
    rows = connection.execute(
        select(CHANNELS.c.id, CHANNELS.c.account).where(CHANNELS.c.enabled).order_by(CHANNELS.c.id)
    )
    used = [(row.id, name_key(row.account)) for row in rows]
    people = connection.execute(
        select(ACCOUNTS.c.key, ACCOUNTS.c.role, ACCOUNTS.c.sites).where(ACCOUNTS.c.disabled.is_(False))
    ).all()
    role_of = {row.key: row.role for row in people}
    sites_of = {row.key: as_sites(row.sites) for row in people}
    chosen: dict[str, frozenset[str] | None] = {}
    for each in to:
        kind, _, name = each.partition(":")
        for channel_id, account in used:
            if account and account not in role_of:
                continue
            if (
                (kind == "channel" and channel_id == name)
                or (kind == "account" and account == name_key(name))
                or (kind == "role" and role_of.get(account) == name)
            ):
                chosen[channel_id] = sites_of.get(account)
    return chosen


def as_route(row: Row[Any]) -> KeptRoute:
    return KeptRoute(row.id, json.loads(row.document), row.enabled, row.revision, row.by, row.changed_us)


def _route_values(document: Mapping[str, Any], enabled: bool) -> dict[str, Any]:
    return {"document": json.dumps(document, ensure_ascii=False, sort_keys=True), "enabled": enabled}


def _check_account(connection: Connection, account: str) -> None:
    if (
        account
        and connection.execute(select(ACCOUNTS.c.id).where(ACCOUNTS.c.key == name_key(account))).first()
        is None
    ):
        raise UnfitError(f"there is no account {account!r}", "leave it out, or make the account first")


def _check_receivers(connection: Connection, route: Route) -> None:
    known = {row.id for row in connection.execute(select(CHANNELS.c.id))}
    for step in route.steps:
        for each in step.to:
            kind, _, name = each.partition(":")
            if kind == "channel" and name not in known:
                raise UnfitError(f"there is no channel {name[:40]!r}", "make it first, and use its id")
            if kind == "account":
                _check_account(connection, name)
