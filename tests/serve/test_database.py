"""The relational database, on SQLite and on a real PostgreSQL."""

import json
import pickle
import pkgutil
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

import serve
from serve import audit, migrations
from serve.accounts import Accounts
from serve.config import DatabaseConfig, database_config
from serve.database import METADATA, Database, check_url
from serve.errors import DatabaseError, DatabaseNewerError, DatabaseUnavailableError, MigrationError


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    found = Database(DatabaseConfig(database_url))
    yield found
    found.close()


def test_migrations_lead_to_what_the_owners_declare(database: Database) -> None:
    for module in pkgutil.walk_packages(serve.__path__, "serve."):
        if module.name != "serve.deployments":
            import_module(module.name)

    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, METADATA))

    assert database.read(compare) == []
    assert database.read(migrations.revision) == migrations.HEAD == migrations.scripts().get_current_head()


def test_migrating_twice_changes_nothing(empty: Database) -> None:
    assert empty.migrate() == (None, migrations.HEAD)
    assert empty.migrate() == (migrations.HEAD, migrations.HEAD)


def test_many_start_at_once_and_one_migrates(database_url: str) -> None:
    together = threading.Barrier(6)

    def start() -> str:
        found = Database(DatabaseConfig(database_url))
        together.wait()
        try:
            return found.migrate()[1]
        finally:
            found.close()

    with ThreadPoolExecutor(6) as pool:
        assert {each.result() for each in [pool.submit(start) for _ in range(6)]} == {migrations.HEAD}


def test_a_step_that_fails_leaves_everything_as_it_was(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = migrations.upgrade

    def half(connection: Connection) -> None:
        whole(connection)
        connection.execute(text("SELECT * FROM not_there"))

    monkeypatch.setattr(migrations, "upgrade", half)
    with pytest.raises(MigrationError, match="not_there"):
        empty.migrate()
    assert empty.read(lambda c: inspect(c).get_table_names()) == []
    monkeypatch.undo()
    assert empty.migrate() == (None, migrations.HEAD)


def test_a_newer_database_is_left_alone(database: Database) -> None:
    database.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(DatabaseNewerError, match=r"9999.*newer Twinfold"):
        database.migrate()
    assert database.read(migrations.revision) == "9999"


def test_what_raises_is_undone(database: Database) -> None:
    database.write(lambda c: c.execute(text("CREATE TABLE counter (n INTEGER)")))

    def fail(connection: Connection) -> None:
        connection.execute(text("INSERT INTO counter VALUES (1)"))
        raise KeyError("no")

    with pytest.raises(KeyError):
        database.write(fail)
    assert database.read(lambda c: c.execute(text("SELECT count(*) FROM counter")).scalar()) == 0


def test_writers_do_not_lose_each_others_work(database: Database) -> None:
    database.write(lambda c: c.execute(text("CREATE TABLE counter (n INTEGER)")))
    database.write(lambda c: c.execute(text("INSERT INTO counter VALUES (0)")))

    def add_one(connection: Connection) -> None:
        found = connection.execute(text("SELECT n FROM counter")).scalar_one()
        connection.execute(text("UPDATE counter SET n = :n"), {"n": found + 1})

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(database.write, add_one) for _ in range(40)]:
            each.result()
    assert database.read(lambda c: c.execute(text("SELECT n FROM counter")).scalar()) == 40


def test_a_writer_is_not_passed_again_and_again(tmp_path: Path) -> None:
    """Beside two that write without a pause, so that there is hardly a gap to find."""
    database = Database(database_config("", tmp_path))
    database.write(lambda c: c.execute(text("CREATE TABLE written (n INTEGER)")))
    done = threading.Event()
    writes = [0, 0]

    def take_long(connection: Connection) -> None:
        connection.execute(text("INSERT INTO written VALUES (1)"))
        done.wait(0.01)

    def keep_writing(which: int) -> None:
        while not done.is_set():
            database.write(take_long)
            writes[which] += 1

    passed = 0
    with ThreadPoolExecutor(2) as pool:
        beside = [pool.submit(keep_writing, which) for which in (0, 1)]
        try:
            for _ in range(20):
                asked = sum(writes)
                passed += database.write(lambda c, asked=asked: sum(writes) - asked)  # type: ignore[misc]
        finally:
            done.set()
        for each in beside:
            each.result()
    database.close()
    assert passed <= 20 * 4


def test_a_reader_sees_one_moment(database: Database) -> None:
    database.write(lambda c: c.execute(text("CREATE TABLE counter (n INTEGER)")))

    def look_twice(connection: Connection) -> tuple[int, int]:
        query = text("SELECT count(*) FROM counter")
        first = connection.execute(query).scalar_one()
        database.write(lambda c: c.execute(text("INSERT INTO counter VALUES (1)")))
        return first, connection.execute(query).scalar_one()

    assert database.read(look_twice) == (0, 0)
    assert database.read(lambda c: c.execute(text("SELECT count(*) FROM counter")).scalar()) == 1


def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    found = Database(database_config("", tmp_path / "data"))
    found.migrate()
    found.write(lambda c: c.execute(text("CREATE TABLE counter (n INTEGER)")))
    files = list((tmp_path / "data").glob("twinfold.db*"))
    assert files
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    found.close()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "twinfold.db").write_bytes(b"not a database, but long enough to be read as a header" * 40)
    found = Database(database_config("", tmp_path))
    with pytest.raises(DatabaseError, match="restore it from a backup"):
        found.migrate()
    found.close()


def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    found = Database(DatabaseConfig("postgresql://twin:s3cret@127.0.0.1:1/fleet"))
    with pytest.raises(DatabaseUnavailableError, match=r"127\.0\.0\.1:1/fleet.*database\.url") as told:
        found.read(lambda c: None)
    assert "s3cret" not in str(told.value)
    assert "s3cret" not in repr(DatabaseConfig("postgresql://twin:s3cret@127.0.0.1:1/fleet"))
    found.close()


@pytest.mark.parametrize("url", ["mysql://twin:s3cret@here/fleet", "twin:s3cret", "oracle+s3cret://x"])
def test_a_url_of_another_kind_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql") as told:
        check_url(url)
    assert "s3cret" not in str(told.value)
    check_url("postgresql://twin:s3cret@here/fleet")
    check_url("sqlite:////var/lib/twinfold.db")


@pytest.mark.parametrize(
    "error",
    [
        DatabaseError("d", "p", "r"), DatabaseUnavailableError("d", "p"), DatabaseNewerError("d", "9"),
        MigrationError("d", "1", "p"),
    ],
)  # fmt: skip
def test_errors_cross_processes(error: DatabaseError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_nothing_is_opened_before_it_is_asked(tmp_path: Path) -> None:
    Database(database_config("", tmp_path / "data")).close()
    assert not (tmp_path / "data").exists()


def test_notices_from_before_are_told_their_site_and_old_audits_stay_whole(empty: Database) -> None:
    def old(connection: Connection) -> None:
        migrations.upgrade(connection, "0004")
        for number in range(1_003):
            site = ("oslo", "ålesund", "")[number % 3]
            values = {"alert": f"pump-{number}:hot:1", "facts": json.dumps({"site": site}), "at": number}
            connection.execute(
                text(
                    "INSERT INTO notices (route, alert, round, step, thing, level, state, made_us, due_us, facts)"
                    " VALUES ('r', :alert, 1, 0, 'x', 1, 'told', :at, :at, :facts)"
                ),
                values,
            )
        connection.execute(
            text(
                "INSERT INTO accounts (name, key, password, role, must_change, disabled, totp_on, totp_step, made_us)"
                " VALUES ('kari', 'kari', 'x', 'viewer', FALSE, FALSE, FALSE, 0, 0)"
            )
        )
        audit.record(connection, 1, "kari", "", "told")

    empty.write(old)
    assert empty.migrate() == ("0004", migrations.HEAD)
    query = text("SELECT site, count(*) FROM notices GROUP BY site ORDER BY count(*) DESC, site DESC")
    assert [tuple(row) for row in empty.read(lambda c: c.execute(query).all())] == [
        ("oslo", 335), ("ålesund", 334), ("", 334),
    ]  # fmt: skip
    assert Accounts(empty).find("kari").sites is None
    assert audit.verify(empty) is None
    with pytest.raises(DBAPIError, match="only grows"):
        empty.write(lambda c: c.execute(text("DELETE FROM audit")))
