"""The relational database as lines of JSON, and back: the same for SQLite and PostgreSQL, so that one can follow the other.

The first line says the revision of the tables, then each table has a line with its name, followed by one line a row.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, MetaData, Table, func, select, text

from serve import migrations
from serve.database import Database
from serve.errors import DatabaseError, DatabaseNewerError

_ROWS_AT_ONCE: Final = 1_000
_BYTES: Final = "base64"


def dump(database: Database, path: Path) -> str | None:
    """Write everything, as of one moment, to a file that only its owner can read; gives the revision, None: no tables yet.

    Raises
    ------
    DatabaseError : it does not answer, or is damaged.
    """

    def write(connection: Connection) -> str | None:
        found = migrations.revision(connection)
        with path.open("w") as file:
            path.chmod(0o600)
            file.write(json.dumps({"revision": found}) + "\n")
            for table in _tables(connection):
                columns = [column.name for column in table.columns]
                file.write(json.dumps({"table": table.name, "columns": columns}) + "\n")
                for row in connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(select(table)):
                    file.write(json.dumps([_plain(value) for value in row]) + "\n")
        return found

    return database.read(write)


def load(database: Database, path: Path) -> str | None:
    """Fill an empty database with what ``dump`` wrote, then bring it up to date; gives the revision that was written.

    Raises
    ------
    DatabaseNewerError : a newer Twinfold wrote it.
    DatabaseError : the database is not empty; nothing was changed.
    """
    with path.open() as file:
        wanted: str | None = json.loads(file.readline())["revision"]
    if wanted is not None:
        if not migrations.is_known(wanted):
            raise DatabaseNewerError(database.name, wanted)

        def fill(connection: Connection) -> None:
            if migrations.revision(connection) is not None:
                raise DatabaseError(
                    database.name, "it is not empty", "restore into an empty one, named by database.url"
                )
            migrations.upgrade(connection, wanted)
            tables = {table.name: table for table in _tables(connection)}
            for table, rows in _blocks(path, tables):
                if rows:
                    connection.execute(table.insert(), rows)
            for table in tables.values():
                _count_on(connection, table)

        database.write(fill)
    database.migrate()
    return wanted


def _tables(connection: Connection) -> list[Table]:
    """All tables but the one that Alembic keeps, those that others point to first."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != migrations.TABLE]


def _blocks(path: Path, tables: dict[str, Table]) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    """The rows that a file has for each table, some at a time."""
    table: Table | None = None
    columns: list[str] = []
    rows: list[dict[str, Any]] = []
    with path.open() as file:
        file.readline()
        for line in file:
            said = json.loads(line)
            if isinstance(said, dict) or len(rows) == _ROWS_AT_ONCE:
                if table is not None:
                    yield table, rows
                rows = []
            if isinstance(said, dict):
                table, columns = tables[said["table"]], said["columns"]
            else:
                rows.append({name: _value(each) for name, each in zip(columns, said, strict=True)})
    if table is not None:
        yield table, rows


def _count_on(connection: Connection, table: Table) -> None:
    """Have PostgreSQL number new rows after those that came with numbers of their own."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.primary_key.columns:
        sequence = connection.execute(
            text("SELECT pg_get_serial_sequence(:table, :column)"),
            {"table": table.name, "column": column.name},
        ).scalar()
        newest = connection.execute(select(func.max(column))).scalar()
        if sequence is not None and newest is not None:
            connection.execute(
                text("SELECT setval(:sequence, :newest)"), {"sequence": sequence, "newest": newest}
            )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return {_BYTES: base64.b64encode(bytes(value)).decode()}
    return value


def _value(said: Any) -> Any:
    if isinstance(said, dict) and said.keys() == {_BYTES}:
        return base64.b64decode(said[_BYTES])
    return said
