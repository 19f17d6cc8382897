"""`twinfold user` and `twinfold access-key`, and what a start does about the first admin."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cluster.bringup import NoAdminError, Platform
from cluster.cli import app
from cluster.settings import Settings, load
from serve import audit
from serve.access import FOLDER, Access
from serve.accounts import Actor
from serve.config import database_config
from serve.database import Database
from serve.errors import KeyRefusedError, LoginError
from serve.keys import Keys
from twins.errors import CommandRefusedError

GOOD = "grey heron over the lock gate"


def access_of(data: Path) -> Access:
    database = Database(database_config("", data))
    database.migrate()
    return Access(database, data / FOLDER)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--data", str(data)])


def found(data: Path, *arguments: str) -> Any:
    result = run(data, *arguments, "--json")
    assert result.exit_code == 0, result.output + repr(result.exception)
    return json.loads(result.stdout)


def test_accounts_are_for_sites(data: Path) -> None:
    found(data, "user", "add", "kari", "--role", "operator", "--site", "oslo", "--site", "bergen")
    found(data, "user", "add", "ola")
    assert [each["sites"] for each in found(data, "user", "list")] == ["bergen, oslo", "all sites"]
    assert "voss now" in run(data, "user", "sites", "kari", "voss").output
    assert access_of(data).accounts.find("kari").sites == {"voss"}
    assert found(data, "user", "sites", "kari", "--all")["sites"] == "all sites"
    for wrong in (("user", "sites", "kari"), ("user", "sites", "kari", "oslo", "--all")):
        result = run(data, *wrong)
        assert result.exit_code != 0
        assert "--all" in result.output
    assert run(data, "user", "add", "root", "--role", "admin", "--site", "oslo").exit_code != 0


def test_a_key_for_metrics_names_no_devices(data: Path) -> None:
    made = found(data, "access-key", "add", "prometheus", "--metrics")
    assert made["for"] == "metrics"
    assert access_of(data).keys.find(made["text"]).kind == "metrics"
    assert run(data, "access-key", "add", "x", "--metrics", "--site", "oslo").exit_code != 0


def test_accounts_are_made_changed_and_disabled(data: Path) -> None:
    made = found(data, "user", "add", "kari", "--role", "admin")
    access = access_of(data)
    assert access.sessions.log_in("kari", made["password"], "program").principal.account.must_change
    assert "logs in with" in run(data, "user", "add", "ola").output
    assert [(each["name"], each["role"]) for each in found(data, "user", "list")] == [
        ("kari", "admin"), ("ola", "viewer"),
    ]  # fmt: skip
    assert found(data, "user", "role", "ola", "operator")["role"] == "operator"
    assert found(data, "user", "disable", "ola")["state"] == "disabled"
    assert found(data, "user", "enable", "ola")["state"] == "must choose a password"
    again = found(data, "user", "password", "kari")["password"]
    with pytest.raises(LoginError):
        access.sessions.log_in("kari", made["password"], "program")
    access.sessions.log_in("kari", again, "program")
    for arguments in (("disable", "kari"), ("role", "kari", "viewer")):
        result = run(data, "user", *arguments)
        assert isinstance(result.exception, CommandRefusedError)
    assert all(
        "(command line)" in line.by
        for line in audit.lines(access.database).items
        if line.what.startswith("account.")
    )
    access.database.close()


def test_keys_are_made_rotated_and_revoked(data: Path) -> None:
    made = found(data, "access-key", "add", "hall 3", "--site", "oslo", "--type", "pump", "--days", "30")
    assert made["for"] == "site oslo, type pump"
    keys: Keys = access_of(data).keys
    assert keys.find(made["text"]).name == "hall 3"
    fresh = found(data, "access-key", "rotate", made["id"], "--overlap-hours", "0")
    later = access_of(data).keys
    assert later.find(fresh["text"]).id == made["id"]
    with pytest.raises(KeyRefusedError):
        later.find(made["text"])
    assert found(data, "access-key", "revoke", made["id"])["revoked"]
    with pytest.raises(KeyRefusedError):
        access_of(data).keys.find(fresh["text"])
    (listed,) = found(data, "access-key", "list")
    assert "text" not in listed
    assert run(data, "access-key", "add", "nothing").exception is not None


def started(settings: Settings) -> Platform:
    """A platform as far as its accounts."""
    platform = Platform(settings)
    platform._open_database()
    platform._open_accounts()
    return platform


def test_the_first_start_makes_an_admin_and_the_next_ones_do_not(data: Path) -> None:
    settings = load({"data": str(data)}, {})
    first = started(settings)
    assert first.first_login is not None
    name, password = first.first_login
    token = (data / FOLDER / "local-token").read_text()
    first.stop()
    assert not (data / FOLDER / "local-token").exists()

    second = started(settings)
    assert second.first_login is None
    assert "twinfold user password admin" in second.notices[0]
    assert (data / FOLDER / "local-token").read_text() != token
    access = access_of(data)
    access.sessions.log_in(name, password, "browser")
    access.accounts.change_password(name, password, GOOD, "")
    second.stop()
    third = started(settings)
    assert (third.first_login, third.notices) == (None, [])
    third.stop()


def test_nobody_else_is_let_near_a_platform_without_an_admin(data: Path) -> None:
    settings = load({"data": str(data)}, {"TWINFOLD_API__PUBLIC_URL": "https://twins.example"})
    with pytest.raises(NoAdminError, match="log in as admin with"):
        started(settings)
    with pytest.raises(NoAdminError):
        started(settings)
    access = access_of(data)
    access.accounts.change_password("admin", access.accounts.reset("admin", Actor("tests")), GOOD, "")
    platform = started(settings)
    config = settings.api_config()
    assert (config.hosts[-1], config.public, config.cookie) == (
        "twins.example", "https://twins.example", "__Host-twinfold-8700",
    )  # fmt: skip
    platform.stop()
