"""The relational database: what people write that is no reading and no command to a twin.

SQLite in the data folder, PostgreSQL by URL; both see the same transactions. ``read`` sees one moment, ``write`` is
alone: the whole of it happens, or nothing. Each owner keeps its tables beside its code, on ``METADATA``; the steps that
bring an older database up to them are in ``migrations/``. No table is declared here. Secrets that must be read back are
sealed where the platform's data folder is encrypted.
"""

import contextlib
import itertools
import os
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, OperationalError

from serve import migrations
from serve.config import DATABASE_FILE, DatabaseConfig
from serve.errors import (
    DatabaseError,
    DatabaseNewerError,
    DatabaseUnavailableError,
    MigrationError,
    UnfitError,
)
from twins.sealing import KEYSET_FILE, SealBrokenError, is_sealed_text, sealer_of

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""What all tables hang on. Names of constraints are the same in every database, so that a migration can name them."""


_PLACE: Final = "database/"
_WAIT_S: Final = 10.0
_WAITING: Final = f"PRAGMA busy_timeout={_WAIT_S * 1e3:.0f}"
_LOOK_S: Final = 0.002
_MIGRATE_WAIT_S: Final = 60.0
_TRIES: Final = 8
_LOOK_AGAIN_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.5
_MIGRATION_LOCK: Final = 0x7769_6E66  # any number, as long as every Twinfold takes the same
_TAKEN: Final = "23505"
_AGAIN: Final = frozenset({"40001", "40P01", _TAKEN})
"""Serialization failure and deadlock: nothing was done, so it can be done again. So can what met a key that somebody else
wrote just now: PostgreSQL may say that before it sees that the two cannot be put in an order; the next time it is there."""

_SQLITE_DOWN: Final = frozenset(
    {5, 6, 8, 10, 13, 14}
)  # busy, locked, read-only, I/O error, full, cannot open
_SQLITE_BUSY: Final = frozenset({5, 6})
_SETTINGS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA journal_size_limit=16777216",
)

Answer = TypeVar("Answer")


def check_url(url: str) -> None:
    """Raises ValueError, without the password, for a URL that names no database of a kind that is supported."""
    try:
        kind = make_url(url).get_backend_name()
    except ArgumentError:
        raise ValueError("it is no URL; write postgresql://user:password@host/name") from None
    if kind not in ("sqlite", "postgresql"):
        raise ValueError(f"{kind} is not supported; use postgresql, or leave it empty for SQLite")


def shown_url(url: str) -> str:
    """The URL without what is secret in it."""
    return make_url(url).set(query={}).render_as_string(hide_password=True)


class Database:
    """One database, for many threads. Nothing is opened before the first question.

    Parameters
    ----------
    config : where it is
    """

    def __init__(self, config: DatabaseConfig) -> None:
        url = make_url(config.url)
        self._folder = config.folder
        self.name = shown_url(config.url)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        engine = _sqlite(url, config) if self.is_sqlite else _postgresql(url, config)
        self._engine = engine
        self._turns = _Turns()
        if self.is_sqlite:
            self._reader, self._writer = engine, engine.execution_options(begin="IMMEDIATE")
        else:
            self._reader = engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            self._writer = engine.execution_options(isolation_level="SERIALIZABLE")

    def read(self, work: Callable[[Connection], Answer]) -> Answer:
        """What ``work`` finds, all of it as of one moment.

        Raises
        ------
        DatabaseUnavailableError : it does not answer.
        UnfitError : it cannot hold a text that was asked for.
        """
        return self._run(self._reader, work)

    def write(self, work: Callable[[Connection], Answer]) -> Answer:
        """Do ``work`` as if nobody else was there; durable when this returns, undone if it raises.

        Where others were in the way it is done again, so ``work`` changes nothing but the database.

        Raises
        ------
        DatabaseUnavailableError : it does not answer, or others kept it busy all the time.
        """
        with self._turns.mine(_WAIT_S) as is_mine:
            if not is_mine:
                raise DatabaseUnavailableError(self.name, f"others were writing for {_WAIT_S:.0f} s")
            return self._run(self._writer, work)

    def migrate(self) -> tuple[str | None, str]:
        """Bring the tables up to date; gives the revision before (None: it was empty) and now.

        One at a time: whoever comes meanwhile waits. All steps are one transaction.

        Raises
        ------
        DatabaseNewerError : a newer Twinfold has been here.
        MigrationError : a step failed; nothing was changed.
        DatabaseUnavailableError : it does not answer, or others hold it for a minute.
        """
        before = self.read(migrations.revision)
        if before == migrations.HEAD:
            return before, before
        if before is not None and not migrations.is_known(before):
            raise DatabaseNewerError(self.name, before)

        def upgrade(connection: Connection) -> str | None:
            self._hold(connection)
            found = migrations.revision(connection)  # another process may have been quicker
            if found != migrations.HEAD:
                migrations.upgrade(connection)
            return found

        try:
            alone = self._engine.execution_options(begin="EXCLUSIVE", wait_s=_MIGRATE_WAIT_S)
            before = self._run(alone, upgrade)
        except DatabaseError:
            raise
        except Exception as error:
            raise MigrationError(self.name, str(before), _first_line(error)) from error
        return before, migrations.HEAD

    def seal(self, text: str, place: str) -> str:
        """The form in which a secret is to lie at ``place``, which names its row and column.

        Raises
        ------
        SealingError : the data folder is encrypted, and the key is not at hand.
        """
        sealer = None if self._folder is None else sealer_of(self._folder)
        return text if sealer is None else sealer.seal_text(text, f"{_PLACE}{place}")

    def unseal(self, text: str, place: str) -> str:
        """What was given to ``seal``, or lies there since before. Raises SealingError."""
        if not is_sealed_text(text):
            return text
        sealer = None if self._folder is None else sealer_of(self._folder)
        if sealer is None:
            raise SealBrokenError(place, f"it is sealed, and there is no {KEYSET_FILE} in the data folder")
        return sealer.open_text(text, f"{_PLACE}{place}")

    def close(self) -> None:
        """Let the connections go."""
        self._engine.dispose()

    def _hold(self, connection: Connection) -> None:
        """Keep other processes from migrating until the transaction ends; SQLite's is exclusive by itself."""
        if not self.is_sqlite:
            connection.execute(text(f"SET LOCAL lock_timeout = '{_MIGRATE_WAIT_S:.0f}s'"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))

    def _run(self, engine: Engine, work: Callable[[Connection], Answer]) -> Answer:
        until_s = time.monotonic() + _WAIT_S
        for attempt in itertools.count():
            try:
                with engine.connect() as connection, connection.begin():
                    return work(connection)
            except DBAPIError as error:
                state = getattr(error.orig, "sqlstate", None)
                if state in _AGAIN and (
                    attempt + 1 < _TRIES or (state != _TAKEN and time.monotonic() < until_s)
                ):
                    pause_s = min(_LOOK_AGAIN_S * 2**attempt, _LONGEST_PAUSE_S)
                    time.sleep(pause_s * random.random())  # noqa: S311  (a wait, no secret)
                    continue
                problem = _first_line(error.orig or error)
                if isinstance(error, DataError):  # PostgreSQL holds no NUL, and no more than a column is wide
                    raise UnfitError(
                        "a text has characters that cannot be kept, or too many", "leave them out"
                    ) from error
                if self._is_down(error):
                    raise DatabaseUnavailableError(self.name, problem) from error
                if "malformed" in problem or "not a database" in problem:
                    raise DatabaseError(self.name, problem, _DAMAGED) from error
                raise
        raise AssertionError("counting does not end")

    def _is_down(self, error: DBAPIError) -> bool:
        """Whether the world is in the way, and not a mistake in what was asked."""
        if self.is_sqlite:  # whose OperationalError is also a name that does not exist
            return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE_DOWN
        return isinstance(error, OperationalError) or error.connection_invalidated


class _Turns:
    """One at a time, in the order they came.

    SQLite does not queue who wants to write: of threads that follow each other closely, one can miss every gap. In
    PostgreSQL those who write at once undo each other, and one can be the loser every time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()  # the first has its turn

    @contextlib.contextmanager
    def mine(self, wait_s: float) -> Iterator[bool]:
        """Inside it is the caller's turn; False if that did not come within ``wait_s``."""
        turn = threading.Event()
        with self._lock:
            self._waiting.append(turn)
            if self._waiting[0] is turn:
                turn.set()
        try:
            yield turn.wait(wait_s)
        finally:
            with self._lock:
                self._waiting.remove(turn)
                if self._waiting:
                    self._waiting[0].set()


_DAMAGED: Final = (
    "restore it from a backup, or move it aside and start again: "
    "types in force come back from the hosts, accounts do not"
)


def _sqlite(url: URL, config: DatabaseConfig) -> Engine:
    path = Path(url.database or DATABASE_FILE)

    def opened(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin when we say so, not when sqlite3 thinks so
        connection.execute(_WAITING)  # first: the next ones may meet a lock
        for setting in _SETTINGS:  # a change of the journal mode does not wait for a lock by itself
            if not _patiently(connection, setting, _WAIT_S):
                connection.execute(setting)

    def create(*_: Any) -> None:
        """Before others can read it: it will hold hashes of passwords."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))

    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        _begin(connection, options.get("begin", "DEFERRED"), options.get("wait_s", _WAIT_S))

    engine = create_engine(url, pool_size=config.connections, max_overflow=0)
    event.listen(engine, "do_connect", create)
    event.listen(engine, "connect", opened)
    event.listen(engine, "begin", begin)
    return engine


def _postgresql(url: URL, config: DatabaseConfig) -> Engine:
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=config.connections,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": round(_WAIT_S),
            "application_name": "twinfold",
            "options": f"-c lock_timeout={_WAIT_S:.0f}s -c statement_timeout=60s -c timezone=UTC",
        },
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _begin(connection: Connection, how: str, wait_s: float) -> None:
    """Begin a transaction; one that writes looks often whether other processes let it.

    SQLite's own wait sleeps up to 100 ms at a time: beside a busy writer it can miss every gap until it gives up.
    """
    if how == "DEFERRED":  # takes no lock
        connection.exec_driver_sql("BEGIN")
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA busy_timeout=0")
    try:
        if not _patiently(driver, f"BEGIN {how}", wait_s):
            connection.exec_driver_sql(f"BEGIN {how}")  # once more, where SQLAlchemy sees why not
    finally:
        driver.execute(_WAITING)


def _patiently(driver: Any, statement: str, wait_s: float) -> bool:
    """Run a statement once no lock is in its way; False if it still is after ``wait_s``, or something else is."""
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            driver.execute(statement)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _SQLITE_BUSY or time.monotonic() > deadline_s:
                return False
            time.sleep(_LOOK_S * (0.5 + random.random()))  # noqa: S311  (a wait, no secret)
        else:
            return True
