"""Who did what, when: lines that can only be added, each bound to the one before by a hash.

The database refuses to change or remove a line; whoever gets around that breaks the chain, which ``verify`` finds. What a
chain cannot show is that its newest lines were cut off: keep ``head`` somewhere else to see that too.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Row, String, Table, Text, insert, select

from serve.database import METADATA, Database

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
    number, before = (1, _FIRST) if last is None else (last.number + 1, last.hash)
    values = {
        "number": number, "at_us": at_us, "by": by[:200], "address": address[:100], "what": what, "subject": subject,
        "detail": json.dumps(detail, ensure_ascii=True, sort_keys=True),
    }  # fmt: skip
    connection.execute(insert(_AUDIT).values({**values, "hash": _hash(before, values)}))


def lines(database: Database, before: int | None = None, limit: int = 100) -> list[Line]:
    """The newest lines first; those before a number, where given."""
    query = select(_AUDIT).order_by(_AUDIT.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(_AUDIT.c.number < before)
    rows = database.read(lambda c: c.execute(query).all())
    return [Line(**{**row._mapping, "detail": json.loads(row.detail)}) for row in rows]


def head(database: Database) -> tuple[int, str]:
    """Number and hash of the newest line."""
    newest = lines(database, limit=1)
    return (newest[0].number, newest[0].hash) if newest else (0, _FIRST)


def verify(database: Database) -> int | None:
    """The first line that does not follow from the one before it; None if all do."""
    before, after = _FIRST, 0
    while True:
        rows = database.read(partial(_following, after=after))
        for row in rows:
            values = {name: value for name, value in row._mapping.items() if name != "hash"}
            if row.number != after + 1 or row.hash != _hash(before, values):
                return after + 1
            before, after = row.hash, row.number
        if len(rows) < _PAGE:
            return None


def _following(connection: Connection, after: int) -> Sequence[Row[Any]]:
    query = select(_AUDIT).where(_AUDIT.c.number > after).order_by(_AUDIT.c.number).limit(_PAGE)
    return connection.execute(query).all()


def _hash(before: str, values: Mapping[str, Any]) -> str:
    text = json.dumps([before, *(values[name] for name in sorted(values))], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
