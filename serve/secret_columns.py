"""Columns of the relational database with a secret that must be read back, and sealing those from before there was a key.

What only has to be recognised, passwords and keys, is kept as a hash and is not among them.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, select, update

from serve.accounts import ACCOUNTS, totp_place
from serve.database import Database
from serve.notifications.book import CHANNELS, target_place
from twins.sealing import is_sealed_text

_PLACES: Final = ((ACCOUNTS.c.totp, totp_place), (CHANNELS.c.target, target_place))


@dataclass(frozen=True, slots=True)
class Sealed:
    """How many secrets are sealed, and how many lie there plain."""

    sealed: int
    plain: int


def count(database: Database) -> Sealed:
    """How the secrets lie at present."""
    rows = database.read(
        lambda connection: [row for column, _ in _PLACES for row in _rows(connection, column)]
    )
    found = [is_sealed_text(row.text) for row in rows]
    return Sealed(sum(found), len(found) - sum(found))


def seal_plain(database: Database) -> int:
    """Seal what lies plain, if the platform's data folder is encrypted. Returns how many there were.

    Raises
    ------
    SealingError : it is, and the key is not at hand; nothing was changed.
    """

    def work(connection: Connection) -> int:
        changed = 0
        for column, place in _PLACES:
            for row in _rows(connection, column):
                sealed = row.text if is_sealed_text(row.text) else database.seal(row.text, place(row.id))
                if sealed != row.text:
                    of = column.table
                    connection.execute(update(of).where(of.c.id == row.id).values({column.name: sealed}))
                    changed += 1
        return changed

    return database.write(work)


def _rows(connection: Connection, column: Column[Any]) -> list[Any]:
    of = column.table
    return list(connection.execute(select(of.c.id, column.label("text")).where(column.is_not(None))).all())
