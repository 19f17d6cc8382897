"""`twinfold key`, what a start does about encryption, and that nothing can be read on disk."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cluster import encryption
from cluster.bringup import Platform
from cluster.cli import app
from cluster.diagnosis import examine
from cluster.settings import PREFIX, Settings, SettingsError, load
from serve.access import FOLDER, Access
from serve.accounts import Actor, totp
from serve.config import database_config
from serve.database import Database
from serve.notifications.book import Book
from serve.notifications.receivers import Target
from serve.scopes import Scope
from serve.secret_columns import Sealed, count, seal_plain
from tests.models import MANIFEST
from tests.sealed import encrypt, holds
from training.registry import FOLDER as MODELS
from training.registry import Registry
from twins import sealing
from twins.key_sources import create_key_file, key_from
from twins.sealing import (
    KEYSET_FILE,
    VARIABLE,
    KeyMissingError,
    KeySourceError,
    KeyWrongError,
    SealBrokenError,
)

HOOK = "https://hooks.example/canary-of-hall-7"
ADMIN = Actor("ann")


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")  # so that what a test sets is taken back
    monkeypatch.delenv(VARIABLE)


def with_key(data: Path, key: Path) -> Settings:
    if not key.exists():
        create_key_file(key)
    return load({"data": str(data), "encryption.key": f"file:{key}"}, {})


def run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--data", str(data), "--json"])


def found(data: Path, *arguments: str) -> Any:
    result = run(data, *arguments)
    assert result.exception is None, result.output
    return json.loads(result.stdout)


def secrets_of(data: Path) -> tuple[str, str, str]:
    """A database with a second factor and a channel; gives what is secret in it, and a device key."""
    database = Database(database_config("", data))
    database.migrate()
    access = Access(database, data / FOLDER)
    access.accounts.create("kari", "viewer", ADMIN)
    secret, _ = access.accounts.begin_totp("kari")
    channel, key = Book(database).add_channel("hook", Target("webhook", HOOK), ADMIN)
    database.close()
    assert channel.target.url == HOOK
    return secret, key, channel.id


def test_the_variable_has_one_name() -> None:
    assert f"{PREFIX}ENCRYPTION__KEY" == VARIABLE


class TestStart:
    def test_a_key_that_is_set_makes_a_keyset_once(self, tmp_path: Path) -> None:
        settings = with_key(tmp_path / "data", tmp_path / "key")
        (told,) = encryption.begin(settings, settings.data)
        assert "encrypted from now on" in told
        before = (settings.data / KEYSET_FILE).read_bytes()
        assert encryption.begin(settings, settings.data) == []
        assert (settings.data / KEYSET_FILE).read_bytes() == before

    def test_without_a_key_nothing_happens(self, tmp_path: Path) -> None:
        settings = load({"data": str(tmp_path)}, {})
        assert encryption.begin(settings, tmp_path) == []
        assert list(tmp_path.iterdir()) == []

    def test_a_lost_or_wrong_key_refuses_the_start(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = tmp_path / "data"
        encryption.begin(with_key(data, tmp_path / "key"), data)
        monkeypatch.delenv(VARIABLE)
        with pytest.raises(KeyMissingError, match="no key is set"):
            Platform(load({"data": str(data)}, {})).start()
        with pytest.raises(KeyWrongError):
            Platform(with_key(data, tmp_path / "other")).start()
        with pytest.raises(KeyMissingError, match="looked for at file:/nowhere"):
            Platform(load({"data": str(data), "encryption.key": "file:/nowhere"}, {})).start()
        assert {path.name for path in data.iterdir()} == {KEYSET_FILE, "lock"}

    def test_a_lost_keyset_is_not_replaced_by_a_new_one(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        settings = with_key(data, tmp_path / "key")
        encryption.begin(settings, data)
        path = data / "hosts" / "host-000" / "snapshots" / f"{7:020d}.snapshot"
        path.parent.mkdir(parents=True)
        path.write_bytes(sealing.stored(path, b"x"))
        (data / KEYSET_FILE).unlink()
        with pytest.raises(SealBrokenError, match="gone, and 1 files"):
            encryption.begin(settings, data)
        assert not (data / KEYSET_FILE).exists()
        assert "is gone" in encryption.status_of(settings)["problem"]

    def test_models_from_before_are_sealed_by_the_next_start(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        registry = Registry(data / MODELS)
        registry.add(MANIFEST, {"text": np.frombuffer(b"a secret", np.uint8)})
        assert holds(data, b"a secret")
        encryption.begin(with_key(data, tmp_path / "key"), data)
        assert not holds(data, b"a secret")
        assert registry.load(MANIFEST.device_type, 1)["text"].tobytes() == b"a secret"
        (models,) = (each for each in encryption.lying(data) if each.kind == "models")
        assert (models.sealed, models.plain) == (1, 0)

    def test_a_data_folder_names_no_program_to_run(self, tmp_path: Path) -> None:
        (tmp_path / "twinfold.toml").write_text('[encryption]\nkey = "command:/tmp/evil"\n')
        with pytest.raises(SettingsError, match="may not name a program"):
            load({"data": str(tmp_path)}, {})
        variables = {VARIABLE: "command:/opt/hook"}
        assert load({"data": str(tmp_path)}, variables).encryption.key == "command:/opt/hook"


class TestDatabase:
    def test_secrets_of_people_and_channels_lie_sealed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = secrets_of(tmp_path / "plain")
        for secret in plain[:2]:
            assert holds(tmp_path / "plain", secret.encode())
        encrypt(tmp_path / "data", monkeypatch)
        secret, key, channel = secrets_of(tmp_path / "data")
        for each in (secret, key, HOOK):
            assert holds(tmp_path / "data", each.encode()) == []
        database = Database(database_config("", tmp_path / "data"))
        accounts = Access(database, tmp_path / "data" / FOLDER).accounts
        accounts.confirm_totp("kari", totp(secret, accounts._clock.now_us() // 30_000_000), "")
        assert Book(database).channel(channel).target == Target("webhook", HOOK, key)
        assert count(database) == Sealed(2, 0)
        database.close()

    def test_what_is_there_is_sealed_by_the_next_start(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, key, channel = secrets_of(tmp_path / "data")
        database = Database(database_config("", tmp_path / "data"))
        access = Access(database, tmp_path / "data" / FOLDER)
        _, text = access.keys.create("hall", Scope.of((), (), (), (), everything=True), ADMIN)
        assert (seal_plain(database), count(database)) == (0, Sealed(0, 2))
        settings = with_key(tmp_path / "data", tmp_path / "key")
        encryption.begin(settings, settings.data)
        assert [each for each in encryption.lying(settings.data) if each.plain] == []
        assert (seal_plain(database), seal_plain(database), count(database)) == (2, 0, Sealed(2, 0))
        assert Book(database).channel(channel).target.key == key
        assert Access(database, tmp_path / "data" / FOLDER).keys.find(text).name == "hall"
        database.close()
        monkeypatch.delenv(VARIABLE)
        with pytest.raises(KeyMissingError):
            Book(Database(database_config("", tmp_path / "data"))).channels()

    def test_a_secret_in_anothers_row_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        encrypt(tmp_path, monkeypatch)
        database = Database(database_config("", tmp_path))
        sealed = database.seal("x", "accounts/1/totp")
        assert database.unseal(sealed, "accounts/1/totp") == "x"
        with pytest.raises(SealBrokenError):
            database.unseal(sealed, "accounts/2/totp")


class TestCommands:
    def test_create_rotate_status(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        made = found(data, "key", "create", str(tmp_path / "key"))
        assert made["source"] == f"file:{tmp_path / 'key'}"
        assert not (data / KEYSET_FILE).exists()
        assert found(data, "key", "status")["encrypted"] is False
        settings = with_key(data, tmp_path / "key")
        encryption.begin(settings, data)
        path = data / "history" / "snapshots" / "host-000" / f"{1:020d}-{2:020d}.snapshot"
        path.parent.mkdir(parents=True)
        path.write_bytes(sealing.stored(path, b"said"))
        said = found(data, "key", "status")
        assert (said["encrypted"], said["key_id"], said["problem"]) == (True, made["id"], "")
        os.environ[VARIABLE] = made["source"]
        turned = found(data, "key", "rotate", "--to", f"file:{tmp_path / 'new'}")
        assert turned["before"] == made["id"] != turned["id"]
        wrong = run(data, "key", "status")
        assert wrong.exit_code == 1
        assert turned["id"] in json.loads(wrong.stdout)["problem"]
        (tmp_path / "key").unlink()
        os.environ[VARIABLE] = turned["source"]
        assert found(data, "key", "status")["key_id"] == turned["id"]
        assert sealing.read(path) == b"said"
        assert isinstance(run(data, "key", "create", str(tmp_path / "new")).exception, KeySourceError)

    def test_a_key_does_not_lie_in_what_it_encrypts(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        assert isinstance(run(data, "key", "create", str(data / "key")).exception, KeySourceError)
        encryption.begin(with_key(data, tmp_path / "key"), data)
        os.environ[VARIABLE] = f"file:{tmp_path / 'key'}"
        result = run(data, "key", "rotate", "--to", f"file:{data / 'key'}")
        assert isinstance(result.exception, KeySourceError)
        assert list(data.glob("key")) == []

    def test_rotation_waits_for_the_platform_to_end(self, tmp_path: Path) -> None:
        from cluster.bringup import DataFolder, DataFolderBusyError

        encryption.begin(with_key(tmp_path / "data", tmp_path / "key"), tmp_path / "data")
        with DataFolder(tmp_path / "data"):
            result = run(tmp_path / "data", "key", "rotate", "--to", f"file:{tmp_path / 'new'}")
        assert isinstance(result.exception, DataFolderBusyError)


def test_doctor_tells_of_keys_and_of_what_is_plain(tmp_path: Path) -> None:
    def told(settings: Settings) -> list[tuple[str, str]]:
        return [(each.level, each.detail) for each in examine(settings) if each.subject == "encryption"]

    data = tmp_path / "data"
    assert told(load({"data": str(data)}, {})) == [("ok", "nothing is encrypted")]
    old = data / "hosts" / "host-000" / "snapshots" / f"{7:020d}.snapshot"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"TF")
    settings = with_key(data, tmp_path / "key")
    encryption.begin(settings, data)
    ((level, detail),) = told(settings)
    assert level == "warning"
    assert "1 files from before" in detail
    (tmp_path / "key").chmod(0o644)
    assert ("failure", f"{tmp_path / 'key'} can be read by others") in told(settings)
    (tmp_path / "key").unlink()
    sealing._opened.cache_clear()
    ((level, detail),) = told(settings)
    assert (level, "without that key nobody can read it" in detail) == ("failure", True)


def test_keys_from_elsewhere_are_used_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_key_file(tmp_path / "key")
    monkeypatch.setenv("HALL_KEY", (tmp_path / "key").read_text())
    settings = load({"data": str(tmp_path / "data"), "encryption.key": "env:HALL_KEY"}, {})
    encryption.begin(settings, settings.data)
    assert encryption.status_of(settings)["key_id"] == key_from(f"file:{tmp_path / 'key'}").id


def test_export_writes_a_plain_file(tmp_path: Path) -> None:
    data = tmp_path / "data"
    encryption.begin(with_key(data, tmp_path / "key"), data)
    (data / "hosts").mkdir()
    written = found(data, "export", str(tmp_path / "out" / "x.csv"), "SELECT 42 AS answer")
    assert written == {"rows": 1, "path": str(tmp_path / "out" / "x.csv")}
    assert (tmp_path / "out" / "x.csv").read_text() == "answer\n42\n"
    assert run(data, "export", str(tmp_path / "out" / "x.csv"), "SELECT 1").exception is not None
    assert "nonsense" in str(run(data, "export", str(tmp_path / "y.parquet"), "SELECT nonsense").exception)
    assert not list(tmp_path.glob("y.parquet*"))
