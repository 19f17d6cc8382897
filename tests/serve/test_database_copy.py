"""The database as a file, and back into either kind."""

import json
from pathlib import Path

import pytest

from serve import database_copy, migrations
from serve.access import Access
from serve.accounts import Actor
from serve.config import DatabaseConfig, database_config
from serve.database import Database
from serve.database_copy import dump, load
from serve.errors import DatabaseError, DatabaseNewerError
from serve.scopes import Scope
from serve.versions import Versions


def filled(database: Database, folder: Path) -> None:
    """Something in most tables, and texts that need care."""
    database.migrate()
    access = Access(database, folder / "secrets")
    for number in range(12):
        access.accounts.invite("viewer", Actor(f"ann-{number}"))
    once = access.accounts.create("ann", "engineer", Actor("tests"))
    access.accounts.change_password("ann", once, "grey heron over the lock gate", "")
    access.sessions.log_in("ann", "grey heron over the lock gate", "program")
    access.keys.create('gate "å"', Scope.of(sites=["ås"]), Actor("ann"), None)
    versions = Versions(database)
    versions.add("pump", "type", {"name": "pump", "title": "Pümpe"}, "built-in", "system", "as it is")


def lines(database: Database, path: Path) -> list[str]:
    dump(database, path)
    return path.read_text().splitlines()


def test_either_kind_can_follow_the_other(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_copy, "_ROWS_AT_ONCE", 5)
    first = Database(DatabaseConfig(database_url))
    filled(first, tmp_path)
    wanted = lines(first, tmp_path / "first.jsonl")
    first.close()
    second = Database(database_config("", tmp_path / "second"))
    load(second, tmp_path / "first.jsonl")
    assert lines(second, tmp_path / "second.jsonl") == wanted
    again = Access(second, tmp_path / "secrets")
    assert again.accounts.create("bob", "viewer", Actor("ann"))
    second.close()


def test_what_is_new_has_numbers_of_its_own(database_url: str, tmp_path: Path) -> None:
    first = Database(database_config("", tmp_path / "first"))
    filled(first, tmp_path)
    wanted = lines(first, tmp_path / "first.jsonl")
    first.close()
    second = Database(DatabaseConfig(database_url))
    load(second, tmp_path / "first.jsonl")
    assert lines(second, tmp_path / "second.jsonl") == wanted
    access = Access(second, tmp_path / "secrets")
    assert access.accounts.create("bob", "viewer", Actor("ann"))
    with pytest.raises(DatabaseError, match="not empty"):
        load(second, tmp_path / "first.jsonl")
    second.close()


def test_an_empty_and_a_newer_one(tmp_path: Path) -> None:
    empty = Database(database_config("", tmp_path / "a"))
    assert dump(empty, tmp_path / "a.jsonl") is None
    other = Database(database_config("", tmp_path / "b"))
    assert load(other, tmp_path / "a.jsonl") is None
    assert other.read(migrations.revision) == migrations.HEAD
    (tmp_path / "c.jsonl").write_text(json.dumps({"revision": "9999"}) + "\n")
    with pytest.raises(DatabaseNewerError):
        load(Database(database_config("", tmp_path / "c")), tmp_path / "c.jsonl")
