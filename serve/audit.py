"""Who did what, when: lines that can only be added, each bound to the one before by a hash.

The database refuses to change or remove a line; whoever gets around that breaks the chain, which ``verify`` finds. What a
chain cannot show is that its newest lines were cut off: keep ``head`` somewhere else to see that too. Its oldest lines go
when they are older than is wanted (``cut``); the chain then begins at a kept hash, and a line says what went.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    Row,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from serve.database import METADATA, Database
from serve.keyset import Key, Spot
from serve.row_pages import RowPage, rows_page

_AUDIT: Final = Table(
    "audit",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("by", String(200), nullable=False),
    Column("address", String(100), nullable=False),
    Column("what", String(100), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("hash", String(64), nullable=False),
)
_START: Final = Table(
    "audit_start",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)
_FIRST: Final = "0" * 64
_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that somebody did. ``hash`` covers it and the line before."""

    number: int
    at_us: int
    by: str
    address: str
    what: str
    subject: str
    detail: Mapping[str, Any]
    hash: str


def record(
    connection: Connection, at_us: int, by: str, address: str, what: str, subject: str = "", **detail: Any
) -> None:
    """Add a line in the transaction of what it tells of: both happen, or neither."""
    last = connection.execute(
        select(_AUDIT.c.number, _AUDIT.c.hash).order_by(_AUDIT.c.number.desc()).limit(1)
    ).first()
    number, before = (
        (1, _FIRST) if last is None else (last.number + 1, last.hash)
    )  # a cut adds a line: one is left
    values = {
        "number": number, "at_us": at_us, "by": by[:200], "address": address[:100], "what": what, "subject": subject,
        "detail": json.dumps(detail, ensure_ascii=True, sort_keys=True),
    }  # fmt: skip
    connection.execute(insert(_AUDIT).values({**values, "hash": _hash(before, values)}))


def lines(
    database: Database,
    spot: Spot = Spot(),  # noqa: B008  # frozen
    *,
    by: str | None = None,
    what: str | None = None,
    subject: str | None = None,
) -> RowPage[Line]:
    """A page of lines, the newest first: by somebody, about something, and of what begins so, where given.

    Raises
    ------
    CursorError : with what to write instead.
    """
    keyset = spot.of(repr(("audit", by, what, subject)), (Key("number", int, descending=True),))
    query = select(_AUDIT)
    if by is not None:
        query = query.where(_AUDIT.c.by == by)
    if what is not None:
        query = query.where(_AUDIT.c.what.startswith(what, autoescape=True))
    if subject is not None:
        query = query.where(_AUDIT.c.subject == subject)
    return database.read(lambda c: rows_page(c, query, keyset, _as_line))


def head(database: Database) -> tuple[int, str]:
    """Number and hash of the newest line."""
    query = select(_AUDIT.c.number, _AUDIT.c.hash).order_by(_AUDIT.c.number.desc()).limit(1)
    newest = database.read(lambda c: c.execute(query).first())
    return (newest.number, newest.hash) if newest is not None else (0, _FIRST)


def cut(database: Database, before_us: int, now_us: int, most: int = 1_000) -> int:
    """Let go of up to ``most`` of the oldest lines, those from before a moment; gives how many went.

    What is kept is bound to what went: the hash of the last line that did is kept, and a line says so.
    """

    def work(connection: Connection) -> int:
        is_first = connection.execute(select(_START)).first() is None
        query = select(_AUDIT.c.number, _AUDIT.c.at_us, _AUDIT.c.hash).order_by(_AUDIT.c.number).limit(most)
        going = list(takewhile(lambda row: row.at_us < before_us, connection.execute(query)))
        if not going:
            return 0
        values = {"number": going[-1].number + 1, "hash": going[-1].hash}
        connection.execute(
            insert(_START).values(id=1, **values) if is_first else update(_START).values(values)
        )
        record(
            connection, now_us, "system", "", "audit.cut",
            first=going[0].number, last=going[-1].number, hash=going[-1].hash,
        )  # fmt: skip
        connection.execute(delete(_AUDIT).where(_AUDIT.c.number <= going[-1].number))
        return len(going)

    return database.write(work)


def verify(database: Database) -> int | None:
    """The first line that does not follow from the one before it; None if all do."""
    after, before = database.read(_start)
    while True:
        rows = database.read(partial(_following, after=after))
        for row in rows:
            values = {name: value for name, value in row._mapping.items() if name != "hash"}
            if row.number != after + 1 or row.hash != _hash(before, values):
                return after + 1
            before, after = row.hash, row.number
        if len(rows) < _PAGE:
            return None


def _as_line(row: Row[Any]) -> Line:
    return Line(**{**row._mapping, "detail": json.loads(row.detail)})


def _following(connection: Connection, after: int) -> Sequence[Row[Any]]:
    query = select(_AUDIT).where(_AUDIT.c.number > after).order_by(_AUDIT.c.number).limit(_PAGE)
    return connection.execute(query).all()


def _start(connection: Connection) -> tuple[int, str]:
    """The number and hash of the last line that was let go of; 0 and the first hash where none was."""
    row = connection.execute(select(_START)).first()
    return (0, _FIRST) if row is None else (row.number - 1, row.hash)


def _hash(before: str, values: Mapping[str, Any]) -> str:
    text = json.dumps([before, *(values[name] for name in sorted(values))], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
