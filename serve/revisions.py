"""Rows that people change: each has a revision, and by whom and when it became so.

Who changes a row names the revision that it is a change of, so that two people do not undo each other's work unseen. Each
change is audited in its own transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, insert, select, update

from serve import audit
from serve.errors import RevisionConflictError
from twins.errors import CommandRefusedError, FleetError


def check_revision(doing: str, what: str, found: int, expected: int | None) -> None:
    """Raises RevisionConflictError unless ``found`` is the revision that was named; None: any will do."""
    if expected is not None and expected != found:
        raise RevisionConflictError(
            doing,
            what,
            f"it is at revision {found} by now, not {expected}; look at it again, then change that",
        )


@dataclass(frozen=True, slots=True)
class Revised:
    """The rows of one table; it has the columns ``id``, ``revision``, ``by`` and ``changed_us``.

    Attributes
    ----------
    noun : what a row is, in messages and in the audit
    missing : what is raised for an id that no row has
    """

    table: Table
    noun: str
    missing: type[FleetError]

    def row(
        self, connection: Connection, row_id: str, expected: int | None = None, doing: str = ""
    ) -> Row[Any]:
        """One row, at the revision that is expected. Raises RevisionConflictError, and ``missing``."""
        is_id = row_id.isalnum() and row_id.isascii()
        query = select(self.table).where(self.table.c.id == row_id)
        row = connection.execute(query).first() if is_id else None
        if row is None:
            raise self.missing(row_id)
        check_revision(f"{doing} the {self.noun}", row_id, row.revision, expected)
        return row

    def check_room(self, connection: Connection, most: int) -> None:
        """Raises CommandRefusedError where there are as many rows as there may be."""
        if connection.execute(select(func.count()).select_from(self.table)).scalar_one() >= most:
            raise CommandRefusedError(
                "add", f"a {self.noun}", f"there are {most}, the most there can be; remove one first"
            )

    def add(
        self, connection: Connection, row_id: str, values: Mapping[str, Any], change: "ChangedBy"
    ) -> Row[Any]:
        """A new row at revision 1."""
        row = {**values, "id": row_id, "revision": 1, **change.columns}
        connection.execute(insert(self.table).values(row))
        change.tell(connection, f"{self.noun}.made", row_id)
        return self.row(connection, row_id)

    def change(
        self, connection: Connection, row: Row[Any], values: Mapping[str, Any], change: "ChangedBy"
    ) -> Row[Any]:
        """Another revision of a row."""
        written = {**values, "revision": row.revision + 1, **change.columns}
        connection.execute(update(self.table).where(self.table.c.id == row.id).values(written))
        change.tell(connection, f"{self.noun}.changed", row.id)
        return self.row(connection, row.id)

    def remove(self, connection: Connection, row: Row[Any], change: "ChangedBy") -> None:
        """Take a row away."""
        connection.execute(delete(self.table).where(self.table.c.id == row.id))
        change.tell(connection, f"{self.noun}.removed", row.id)


@dataclass(frozen=True, slots=True)
class ChangedBy:
    """Who changes a row, from where and when, and what the audit says of it beside."""

    by: str
    address: str
    at_us: int
    said: Mapping[str, Any]

    @property
    def columns(self) -> dict[str, Any]:
        return {"by": self.by[:200], "changed_us": self.at_us}

    def tell(self, connection: Connection, what: str, row_id: str) -> None:
        audit.record(connection, self.at_us, self.by, self.address, what, row_id, **self.said)
