"""What people keep for themselves: saved views of lists, their own or shared, and settings. Each change is audited in its
own transaction.

A view is a filter, an order and columns of one page under a name; its filter is read before it is kept. Its owner may change
it, and an admin; a shared one is read by all. Who changes something names the revision that it is a change of.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
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
    func,
    insert,
    or_,
    select,
    update,
)

from serve import audit
from serve.accounts import Actor, Role, name_key
from serve.database import METADATA, Database
from serve.errors import ForbiddenError, UnfitError, ViewNotFoundError
from serve.keyset import Key, Spot
from serve.revisions import ChangedBy, Revised, check_revision
from serve.row_pages import RowPage, rows_page
from twins.clock import Clock, WallClock
from twins.errors import CommandRefusedError

MOST_VIEWS: Final = 100
"""Of one owner."""

VIEWS: Final = Table(
    "saved_views",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("owner", String(200), nullable=False, index=True),
    Column("page", String(20), nullable=False),
    Column("name", String(100), nullable=False),
    Column("document", Text, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("first", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("by", String(200), nullable=False),
    Column("changed_us", BigInteger, nullable=False),
)
SETTINGS: Final = Table(
    "user_settings",
    METADATA,
    Column("owner", String(200), primary_key=True),
    Column("document", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks: the account's name, and its role."""

    name: str
    role: Role | None

    @property
    def key(self) -> str:
        return name_key(self.name)


@dataclass(frozen=True, slots=True)
class ViewDraft:
    """What a view is to be.

    Attributes
    ----------
    document : filter, search, sort and columns, checked by whoever took them in
    first : whether its owner sees the page so at first; no other view of theirs of that page is then
    """

    page: str
    name: str
    document: Mapping[str, Any]
    shared: bool
    first: bool


@dataclass(frozen=True, slots=True)
class SavedView:
    """A view that is kept. ``owner`` is the name's key, see ``accounts.name_key``."""

    id: str
    owner: str
    draft: ViewDraft
    revision: int
    by: str
    changed_us: int


class Preferences:
    """The views and settings of all people of one platform.

    Parameters
    ----------
    database : where they are
    clock : what time it is
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or WallClock()

    # -- views -----------------------------------------------------------------------------------------------------

    def views(
        self,
        who: Person,
        page: str | None = None,
        spot: Spot = Spot(),  # noqa: B008  # frozen
    ) -> RowPage[SavedView]:
        """Some of those of ``who``, and of those that others share; by name. Raises CursorError."""
        query = select(VIEWS).where(or_(VIEWS.c.owner == who.key, VIEWS.c.shared))
        if page is not None:
            query = query.where(VIEWS.c.page == page)
        keyset = spot.of(repr(("views", who.key, page)), (Key("name", str), Key("id", str)))
        return self._database.read(lambda c: rows_page(c, query, keyset, _as_view))

    def view(self, who: Person, view_id: str) -> SavedView:
        """One that is theirs or shared. Raises ViewNotFoundError."""
        return _as_view(self._database.read(partial(_read, who=who, view_id=view_id)))

    def add_view(self, who: Person, actor: Actor, draft: ViewDraft) -> SavedView:
        """A new one. Raises UnfitError for a name that is taken on that page, CommandRefusedError if there are too many."""
        view_id = secrets.token_hex(8)

        def work(connection: Connection) -> SavedView:
            mine = select(func.count()).select_from(VIEWS).where(VIEWS.c.owner == who.key)
            if connection.execute(mine).scalar_one() >= MOST_VIEWS:
                raise CommandRefusedError(
                    "save the view", draft.name, f"there are {MOST_VIEWS} of yours; remove one first"
                )
            _check_name(connection, who.key, view_id, draft)
            values = {**_values(draft), "owner": who.key}
            made = _VIEWS.add(connection, view_id, values, self._change(who, actor, draft))
            _make_room(connection, who.key, view_id, draft)
            return _as_view(made)

        return self._database.write(work)

    def change_view(
        self, who: Person, actor: Actor, view_id: str, expected: int | None, draft: ViewDraft
    ) -> SavedView:
        """Put another in its place; it stays its owner's.

        Raises
        ------
        ViewNotFoundError, ForbiddenError, RevisionConflictError, UnfitError
        """

        def work(connection: Connection) -> SavedView:
            row = _writable(connection, who, view_id, expected, "change")
            _check_name(connection, row.owner, view_id, draft)
            changed = _VIEWS.change(connection, row, _values(draft), self._change(who, actor, draft))
            _make_room(connection, row.owner, view_id, draft)
            return _as_view(changed)

        return self._database.write(work)

    def remove_view(self, who: Person, actor: Actor, view_id: str, expected: int | None) -> None:
        """Take one away. Raises as ``change_view`` does."""

        def work(connection: Connection) -> None:
            row = _writable(connection, who, view_id, expected, "remove")
            _VIEWS.remove(connection, row, self._change(who, actor, _as_view(row).draft))

        self._database.write(work)

    def _change(self, who: Person, actor: Actor, draft: ViewDraft) -> ChangedBy:
        said = {"name": draft.name, "page": draft.page, "shared": draft.shared}
        return ChangedBy(who.name, actor.address, self._clock.now_us(), said)

    # -- settings --------------------------------------------------------------------------------------------------

    def settings(self, who: Person) -> tuple[Mapping[str, Any], int]:
        """What ``who`` chose, and its revision; nothing, at revision 0, before the first time."""
        row = self._database.read(
            lambda c: c.execute(select(SETTINGS).where(SETTINGS.c.owner == who.key)).first()
        )
        return ({}, 0) if row is None else (json.loads(row.document), row.revision)

    def change_settings(
        self, who: Person, actor: Actor, expected: int | None, document: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], int]:
        """Put others in their place. Raises RevisionConflictError."""
        now_us = self._clock.now_us()

        def work(connection: Connection) -> tuple[Mapping[str, Any], int]:
            mine = SETTINGS.c.owner == who.key
            row = connection.execute(select(SETTINGS.c.revision).where(mine)).first()
            revision = 0 if row is None else row.revision
            check_revision("change the settings of", who.name, revision, expected)
            values = {"document": _text(document), "revision": revision + 1, "changed_us": now_us}
            if row is None:
                connection.execute(insert(SETTINGS).values(owner=who.key, **values))
            else:
                connection.execute(update(SETTINGS).where(mine).values(values))
            audit.record(connection, now_us, actor.name, actor.address, "settings.changed", who.name)
            return document, revision + 1

        return self._database.write(work)


_VIEWS: Final = Revised(VIEWS, "view", ViewNotFoundError)


def _read(connection: Connection, who: Person, view_id: str) -> Row[Any]:
    row = _VIEWS.row(connection, view_id)
    if not (row.shared or row.owner == who.key or who.role == "admin"):
        raise ViewNotFoundError(view_id)
    return row


def _writable(
    connection: Connection, who: Person, view_id: str, expected: int | None, doing: str
) -> Row[Any]:
    row = _read(connection, who, view_id)
    if row.owner != who.key and who.role != "admin":
        raise ForbiddenError(who.role or "none", "admin, or that of its owner")
    return _VIEWS.row(connection, view_id, expected, doing)


def _check_name(connection: Connection, owner: str, view_id: str, draft: ViewDraft) -> None:
    same = (VIEWS.c.owner == owner) & (VIEWS.c.page == draft.page) & (VIEWS.c.name == draft.name)
    if connection.execute(select(VIEWS.c.id).where(same & (VIEWS.c.id != view_id))).first() is not None:
        raise UnfitError(
            f"there is a view {draft.name!r} of the page {draft.page!r} already",
            "choose another name, or change that one",
        )


def _make_room(connection: Connection, owner: str, view_id: str, draft: ViewDraft) -> None:
    """At most one view of a page comes first. Those that do no longer are at another revision."""
    if draft.first:
        others = (VIEWS.c.owner == owner) & (VIEWS.c.page == draft.page) & (VIEWS.c.id != view_id)
        connection.execute(
            update(VIEWS).where(others & VIEWS.c.first).values(first=False, revision=VIEWS.c.revision + 1)
        )


def _values(draft: ViewDraft) -> dict[str, Any]:
    return {
        "page": draft.page,
        "name": draft.name,
        "document": _text(draft.document),
        "shared": draft.shared,
        "first": draft.first,
    }


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _as_view(row: Row[Any]) -> SavedView:
    draft = ViewDraft(row.page, row.name, json.loads(row.document), row.shared, row.first)
    return SavedView(row.id, row.owner, draft, row.revision, row.by, row.changed_us)
