"""Versions of device types and of their alert rules, in the database: who wrote them, when and why. Knows no fleet.

A type has two parts, each with versions of its own: ``type`` (channels, physics, actions) and ``rules``. A version never
changes; the same content is the same version. An *installation* is a pair of versions that was put in force, and its
number is the ``version`` that the type then carries on the hosts. What really is in force the journals tell:
``catalogue.py`` compares.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    select,
    update,
)

from serve.database import METADATA, Database
from serve.errors import RevisionConflictError, TypeVersionNotFoundError
from twins.clock import Clock, WallClock
from twins.errors import VersionConflictError
from twins.typefiles import document_hash

Part = Literal["type", "rules"]
Source = Literal["built-in", "file", "edit", "hosts"]
State = Literal["begun", "in_force", "failed", "torn"]

PARTS: Final[tuple[Part, ...]] = ("type", "rules")

_TYPE_VERSIONS: Final = Table(
    "type_versions",
    METADATA,
    Column("name", String(200), primary_key=True),
    Column("part", String(8), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("document", Text, nullable=False),
    Column("source", String(16), nullable=False),
    Column("by", String(200), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
    UniqueConstraint("name", "part", "hash"),
)
_INSTALLATIONS: Final = Table(
    "type_installations",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("number", Integer, nullable=False),
    Column("type_number", Integer, nullable=False),
    Column("rules_number", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    Column("problem", Text, nullable=False),
    Column("by", String(200), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
    Index("ix_type_installations_name", "name", "id"),
)
_HEADS: Final = Table(
    "type_heads",
    METADATA,
    Column("name", String(200), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("staged_type", Integer),
    Column("staged_rules", Integer),
    Column("file", Text),
    Column("file_type", Integer),
    Column("file_rules", Integer),
)

_STAGED: Final[Mapping[Part, str]] = {"type": "staged_type", "rules": "staged_rules"}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a part of a type. ``document`` is JSON values: the type without version and rules, or the rules."""

    name: str
    part: Part
    number: int
    hash: str
    document: Any
    source: Source
    by: str
    at_us: int
    why: str


@dataclass(frozen=True, slots=True)
class Installation:
    """A pair of versions that was put in force, or was meant to be.

    ``state``: begun and not ended; in force, until the next one; failed, nothing changed; torn: it failed and could not be
    undone everywhere.
    """

    id: int
    name: str
    number: int
    type_number: int
    rules_number: int
    state: State
    problem: str
    by: str
    at_us: int
    why: str


@dataclass(frozen=True, slots=True)
class Head:
    """What else is known of a type: how often it changed here, what is staged, and what its file said at the last start."""

    name: str
    revision: int = 0
    staged_type: int | None = None
    staged_rules: int | None = None
    file: str | None = None
    file_type: int | None = None
    file_rules: int | None = None

    def staged(self, part: Part) -> int | None:
        return self.staged_type if part == "type" else self.staged_rules


class Versions:
    """The store. Each call is one transaction.

    Parameters
    ----------
    database : where the tables are
    clock : dates what is written
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or WallClock()

    # -- looking ---------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The types of which there is a version."""
        query = select(_TYPE_VERSIONS.c.name).distinct().order_by(_TYPE_VERSIONS.c.name)
        return self._database.read(lambda c: list(c.execute(query).scalars()))

    def version(self, name: str, part: Part, number: int) -> Version:
        """One version; raises TypeVersionNotFoundError."""
        return self._database.read(lambda c: _version(c, name, part, number))

    def versions(self, name: str, part: Part) -> list[Version]:
        """All versions of a part, the newest first."""
        table = _TYPE_VERSIONS
        query = (
            select(table).where(table.c.name == name, table.c.part == part).order_by(table.c.number.desc())
        )
        return [_as_version(row) for row in self._database.read(lambda c: c.execute(query).all())]

    def installations(self, name: str, limit: int = 1_000) -> list[Installation]:
        """What was put in force, or meant to be, the newest first."""
        table = _INSTALLATIONS
        query = select(table).where(table.c.name == name).order_by(table.c.id.desc()).limit(limit)
        return [_as_installation(row) for row in self._database.read(lambda c: c.execute(query).all())]

    def in_force(self, name: str) -> Installation | None:
        """What was put in force last."""
        return self._database.read(lambda c: _last(c, name, "in_force"))

    def last(self, name: str) -> Installation | None:
        """The last installation, whatever became of it."""
        return self._database.read(lambda c: _last(c, name))

    def head(self, name: str) -> Head:
        return self._database.read(lambda c: _head(c, name))

    # -- writing ---------------------------------------------------------------------------------------------------

    def add(self, name: str, part: Part, document: Any, source: Source, by: str, why: str = "") -> Version:
        """The version with this content: a new one, or the one that has it already."""
        return self._database.write(lambda c: self._add(c, name, part, document, source, by, why))

    def stage(
        self, name: str, part: Part, document: Any, source: Source, by: str, why: str, expected: int | None
    ) -> Version:
        """Keep a version for a later ``activate``. ``expected`` is the revision that the writer has seen; None: any.

        Raises
        ------
        RevisionConflictError : the type changed since.
        """

        def work(connection: Connection) -> Version:
            head = _checked(connection, name, expected, "stage")
            version = self._add(connection, name, part, document, source, by, why)
            _put(connection, head, **{_STAGED[part]: version.number})
            return version

        return self._database.write(work)

    def unstage(self, name: str, part: Part, expected: int | None) -> None:
        """Forget what is staged; the version stays. Raises RevisionConflictError as ``stage`` does."""

        def work(connection: Connection) -> None:
            head = _checked(connection, name, expected, "unstage")
            if head.staged(part) is not None:
                _put(connection, head, **{_STAGED[part]: None})

        self._database.write(work)

    def begin(
        self,
        name: str,
        number: int,
        type_number: int,
        rules_number: int,
        by: str,
        why: str,
        expected: int | None,
        under_way_us: int,
    ) -> Installation:
        """Note that a pair is about to be put in force, under ``number`` or the next one that is free.

        One at a time: one that was begun less than ``under_way_us`` ago and has not ended is in the way.

        Raises
        ------
        RevisionConflictError : the type changed since ``expected``.
        VersionConflictError : somebody else is at it.
        """

        def work(connection: Connection) -> Installation:
            head = _checked(connection, name, expected, "activate")
            table, last = _INSTALLATIONS, _last(connection, name)
            if last is not None and last.state == "begun":
                if self._clock.now_us() - last.at_us < under_way_us:
                    raise VersionConflictError("activate", name, f"{last.by} is at it; look at it again")
                given_up = {"state": "failed", "problem": "it never ended"}
                connection.execute(update(table).where(table.c.id == last.id).values(given_up))
            most = connection.execute(select(func.max(table.c.number)).where(table.c.name == name)).scalar()
            _put(connection, head)
            return self._install(
                connection, name, max(number, (most or 0) + 1), type_number, rules_number, "begun", by, why
            )

        return self._database.write(work)

    def end(self, installation: Installation, state: State, problem: str = "") -> None:
        """Say what became of it. What was staged and is now in force is staged no longer."""

        def work(connection: Connection) -> None:
            table = _INSTALLATIONS
            values = {"state": state, "problem": problem}
            connection.execute(update(table).where(table.c.id == installation.id).values(values))
            if state == "in_force":
                head = _head(connection, installation.name)
                staged: dict[str, int | None] = {}
                if head.staged_type == installation.type_number:
                    staged["staged_type"] = None
                if head.staged_rules == installation.rules_number:
                    staged["staged_rules"] = None
                _put(connection, head, **staged)

        self._database.write(work)

    def found(
        self, name: str, number: int, type_number: int, rules_number: int, by: str, why: str
    ) -> Installation:
        """Note what is in force without anybody having said so here."""

        def work(connection: Connection) -> Installation:
            _put(connection, _head(connection, name))
            return self._install(connection, name, number, type_number, rules_number, "in_force", by, why)

        return self._database.write(work)

    def remember_file(self, name: str, file: str, type_number: int, rules_number: int) -> None:
        """Keep what a type's file says, to know at the next start whether it changed."""

        def work(connection: Connection) -> None:
            head = _head(connection, name)
            if (head.file, head.file_type, head.file_rules) != (file, type_number, rules_number):
                _put(connection, head, file=file, file_type=type_number, file_rules=rules_number)

        self._database.write(work)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _add(
        self, connection: Connection, name: str, part: Part, document: Any, source: Source, by: str, why: str
    ) -> Version:
        table, digest = _TYPE_VERSIONS, document_hash(document)
        of_part = (table.c.name == name) & (table.c.part == part)
        known = connection.execute(select(table).where(of_part, table.c.hash == digest)).first()
        if known is not None:
            return _as_version(known)
        number = (connection.execute(select(func.max(table.c.number)).where(of_part)).scalar() or 0) + 1
        version = Version(name, part, number, digest, document, source, by, self._clock.now_us(), why)
        connection.execute(
            insert(table).values(
                name=name, part=part, number=number, hash=digest, source=source, by=by, at_us=version.at_us, why=why,
                document=json.dumps(document, ensure_ascii=False, separators=(",", ":")),
            )
        )  # fmt: skip
        return version

    def _install(
        self, connection: Connection, name: str, number: int, type_number: int, rules_number: int, state: State,
        by: str, why: str,
    ) -> Installation:  # fmt: skip
        values = {
            "name": name, "number": number, "type_number": type_number, "rules_number": rules_number, "state": state,
            "problem": "", "by": by, "at_us": self._clock.now_us(), "why": why,
        }  # fmt: skip
        result = connection.execute(insert(_INSTALLATIONS).values(values))
        key = result.inserted_primary_key
        assert key is not None
        return Installation(id=key[0], **cast(dict[str, Any], values))


def _checked(connection: Connection, name: str, expected: int | None, doing: str) -> Head:
    head = _head(connection, name)
    if expected is not None and head.revision != expected:
        reason = f"it changed meanwhile: it is at revision {head.revision}, not {expected}; look at it again"
        raise RevisionConflictError(doing, name, reason)
    return head


def _head(connection: Connection, name: str) -> Head:
    row = connection.execute(select(_HEADS).where(_HEADS.c.name == name)).first()
    return Head(name) if row is None else Head(**row._mapping)


def _put(connection: Connection, head: Head, **changes: Any) -> None:
    """Write what changes in a head, as its next revision."""
    values = {"revision": head.revision + 1, **changes}
    if head.revision == 0:
        connection.execute(insert(_HEADS).values(name=head.name, **values))
    else:
        connection.execute(update(_HEADS).where(_HEADS.c.name == head.name).values(values))


def _version(connection: Connection, name: str, part: Part, number: int) -> Version:
    table = _TYPE_VERSIONS
    of_part = (table.c.name == name) & (table.c.part == part)
    row = connection.execute(select(table).where(of_part, table.c.number == number)).first()
    if row is None:
        newest = connection.execute(select(func.max(table.c.number)).where(of_part)).scalar()
        raise TypeVersionNotFoundError(name, part, number, newest or 0)
    return _as_version(row)


def _last(connection: Connection, name: str, state: State | None = None) -> Installation | None:
    table = _INSTALLATIONS
    query = select(table).where(table.c.name == name).order_by(table.c.id.desc()).limit(1)
    if state is not None:
        query = query.where(table.c.state == state)
    row = connection.execute(query).first()
    return None if row is None else _as_installation(row)


def _as_version(row: Row[Any]) -> Version:
    return Version(**{**row._mapping, "document": json.loads(row.document)})


def _as_installation(row: Row[Any]) -> Installation:
    return Installation(**row._mapping)
