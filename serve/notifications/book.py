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
    delete,
    func,
    insert,
    select,
    update,
)

from serve import audit
from serve.accounts import ACCOUNTS, Actor, as_sites, name_key
from serve.database import METADATA, Database
from serve.errors import ChannelNotFoundError, RevisionConflictError, RouteNotFoundError, UnfitError
from serve.notifications.receivers import Target, check_target
from serve.notifications.routing import Route, route_of
from twins.clock import Clock, WallClock
from twins.errors import CommandRefusedError

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
        return self._as_channel(self._database.read(lambda c: _channel_row(c, channel_id)))

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
        channel_id, now_us = secrets.token_hex(8), self._clock.now_us()

        def work(connection: Connection) -> Channel:
            _check_room(connection, CHANNELS, MOST_CHANNELS)
            _check_account(connection, account)
            values = {
                "name": name,
                "target": self._as_kept(channel_id, target),
                "account": account,
                "enabled": True,
            }
            _put(connection, CHANNELS, channel_id, values, 1, actor, now_us)
            said = {"name": name, "kind": target.kind, "to": target.shown}
            audit.record(connection, now_us, actor.name, actor.address, "channel.made", channel_id, **said)
            return self._as_channel(_channel_row(connection, channel_id))

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
        now_us = self._clock.now_us()

        def work(connection: Connection) -> Channel:
            found = self._as_channel(_channel_row(connection, channel_id))
            _check_revision("change the channel", channel_id, found.revision, expected)
            name, target, account, enabled = change(found)
            check_target(target)
            _check_account(connection, account)
            values = {
                "name": name,
                "target": self._as_kept(channel_id, target),
                "account": account,
                "enabled": enabled,
            }
            _put(connection, CHANNELS, channel_id, values, found.revision + 1, actor, now_us)
            said = {
                "name": name,
                "to": target.shown,
                "enabled": enabled,
                "redirected": target != found.target,
            }
            audit.record(connection, now_us, actor.name, actor.address, "channel.changed", channel_id, **said)
            return self._as_channel(_channel_row(connection, channel_id))

        return self._database.write(work)

    def remove_channel(self, channel_id: str, expected: int | None, actor: Actor) -> None:
        """Take one away; what waits for it fails. Raises as ``change_channel`` does."""

        def work(connection: Connection) -> None:
            found = self._as_channel(_channel_row(connection, channel_id))
            _check_revision("remove the channel", channel_id, found.revision, expected)
            connection.execute(delete(CHANNELS).where(CHANNELS.c.id == channel_id))
            now_us = self._clock.now_us()
            audit.record(
                connection, now_us, actor.name, actor.address, "channel.removed", channel_id, name=found.name
            )

        self._database.write(work)

    # -- routes ----------------------------------------------------------------------------------------------------

    def routes(self) -> list[KeptRoute]:
        """All, by name."""
        return self._database.read(kept_routes)

    def route(self, route_id: str) -> KeptRoute:
        """One. Raises RouteNotFoundError."""
        return as_route(self._database.read(lambda c: _route_row(c, route_id)))

    def add_route(self, document: Mapping[str, Any], enabled: bool, actor: Actor) -> KeptRoute:
        """A new route. Raises UnfitError, CommandRefusedError."""
        route_id = secrets.token_hex(8)
        found = route_of(route_id, document)

        def work(connection: Connection) -> KeptRoute:
            _check_room(connection, ROUTES, MOST_ROUTES)
            _check_receivers(connection, found)
            return self._put_route(connection, route_id, document, enabled, 1, actor, "route.made")

        return self._database.write(work)

    def change_route(
        self, route_id: str, expected: int | None, document: Mapping[str, Any], enabled: bool, actor: Actor
    ) -> KeptRoute:
        """Put another route in its place. Raises RouteNotFoundError, RevisionConflictError, UnfitError."""
        wanted = route_of(route_id, document)

        def work(connection: Connection) -> KeptRoute:
            found = as_route(_route_row(connection, route_id))
            _check_revision("change the route", route_id, found.revision, expected)
            _check_receivers(connection, wanted)
            number = found.revision + 1
            return self._put_route(connection, route_id, document, enabled, number, actor, "route.changed")

        return self._database.write(work)

    def remove_route(self, route_id: str, expected: int | None, actor: Actor) -> None:
        """Take one away; nobody is told of what it had still to tell. Raises as ``change_route`` does."""

        def work(connection: Connection) -> None:
            found = as_route(_route_row(connection, route_id))
            _check_revision("remove the route", route_id, found.revision, expected)
            connection.execute(delete(ROUTES).where(ROUTES.c.id == route_id))
            now_us, name = self._clock.now_us(), found.document["name"]
            audit.record(connection, now_us, actor.name, actor.address, "route.removed", route_id, name=name)

        self._database.write(work)

    def _put_route(
        self,
        connection: Connection,
        route_id: str,
        document: Mapping[str, Any],
        enabled: bool,
        revision: int,
        actor: Actor,
        what: str,
    ) -> KeptRoute:
        now_us = self._clock.now_us()
        text = json.dumps(document, ensure_ascii=False, sort_keys=True)
        _put(connection, ROUTES, route_id, {"document": text, "enabled": enabled}, revision, actor, now_us)
        audit.record(
            connection,
            now_us,
            actor.name,
            actor.address,
            what,
            route_id,
            enabled=enabled,
            route=dict(document),
        )
        return as_route(_route_row(connection, route_id))


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


def _put(
    connection: Connection,
    table: Table,
    row_id: str,
    values: Mapping[str, Any],
    revision: int,
    actor: Actor,
    now_us: int,
) -> None:
    row = {**values, "revision": revision, "by": actor.name[:200], "changed_us": now_us}
    if revision == 1:
        connection.execute(insert(table).values({"id": row_id, **row}))
    else:
        connection.execute(update(table).where(table.c.id == row_id).values(row))


def _channel_row(connection: Connection, channel_id: str) -> Row[Any]:
    row = (
        connection.execute(select(CHANNELS).where(CHANNELS.c.id == channel_id)).first()
        if channel_id.isalnum()
        else None
    )
    if row is None:
        raise ChannelNotFoundError(channel_id)
    return row


def _route_row(connection: Connection, route_id: str) -> Row[Any]:
    row = (
        connection.execute(select(ROUTES).where(ROUTES.c.id == route_id)).first()
        if route_id.isalnum()
        else None
    )
    if row is None:
        raise RouteNotFoundError(route_id)
    return row


def _check_revision(doing: str, row_id: str, revision: int, expected: int | None) -> None:
    if expected is not None and expected != revision:
        raise RevisionConflictError(
            doing, row_id, f"it is at revision {revision} by now; look at it again, then change that"
        )


def _check_room(connection: Connection, table: Table, most: int) -> None:
    if connection.execute(select(func.count()).select_from(table)).scalar_one() >= most:
        raise CommandRefusedError(
            "add", table.name, f"there are {most}, the most there can be; remove one first"
        )


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
