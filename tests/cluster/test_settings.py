"""Settings: what wins, what is refused, and that every value says where it came from."""

from dataclasses import fields, is_dataclass

import pytest
from typer.testing import CliRunner

from cluster.cli import app
from cluster.settings import SettingsError, load, load_with_sources, names, shown, value


def test_later_sources_win(tmp_path):
    (tmp_path / "twinfold.toml").write_text("[api]\nport = 9001\n[fleet]\nhosts = 3\n")
    settings, sources = load_with_sources(
        {"data": str(tmp_path), "fleet.hosts": None}, {"TWINFOLD_API__PORT": "9002", "HOME": "/"}
    )
    assert settings.api.port == 9002
    assert settings.fleet.hosts == 3
    assert sources["api.port"] == "environment TWINFOLD_API__PORT"
    assert sources["fleet.hosts"].endswith("twinfold.toml")
    assert sources["api.host"] == "default"
    assert load({"data": str(tmp_path), "api.port": 9003}, {"TWINFOLD_API__PORT": "9002"}).api.port == 9003


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"TWINFOLD_API__PROT": "1"}, "no such setting"),
        ({"TWINFOLD_PORT": "1"}, "did you mean api.port"),
        ({"TWINFOLD_API__PORT": "many"}, "environment TWINFOLD_API__PORT"),
        ({"TWINFOLD_API__PORT": "0"}, "greater than or equal to 1"),
        ({"TWINFOLD_ALERTS__NOTE_TO_SHELVE": "high, urgent"}, "urgent: no priority; use critical, high"),
    ],
)
def test_a_wrong_variable_is_refused(tmp_path, environment, told):
    with pytest.raises(SettingsError, match=told):
        load({"data": str(tmp_path)}, environment)


def test_notes_are_needed_at_the_priorities_that_are_set(tmp_path):
    environment = {
        "TWINFOLD_ALERTS__NOTE_TO_ACKNOWLEDGE": "critical, high",
        "TWINFOLD_ALERTS__NOTE_TO_SUPPRESS": "",
    }
    notes = load({"data": str(tmp_path)}, environment).api_config().notes
    assert (notes.acknowledge, notes.reset, notes.suppress) == (("critical", "high"), (), ())
    assert notes.shelve == ("critical", "high", "medium", "low")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "plant.example", "", "127.0.0.1.example"])
def test_no_setting_opens_the_platform_to_others(tmp_path, host):
    with pytest.raises(SettingsError, match=r"environment TWINFOLD_API__HOST: .*without TLS.*public_url"):
        load({"data": str(tmp_path)}, {"TWINFOLD_API__HOST": host})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_has_several_names(tmp_path, host):
    assert load({"data": str(tmp_path)}, {"TWINFOLD_API__HOST": host}).api.host == host


@pytest.mark.parametrize(
    "url",
    ["http://twins.example", "twins.example", "https://", "https://twins.example/path", "https://a?b=c"],
)
def test_others_reach_the_platform_over_tls_only(tmp_path, url):
    with pytest.raises(SettingsError, match="https://name"):
        load({"data": str(tmp_path)}, {"TWINFOLD_API__PUBLIC_URL": url})


def test_behind_a_proxy_with_tls_another_address_may_be_listened_on(tmp_path):
    environment = {
        "TWINFOLD_API__HOST": "10.0.0.7",
        "TWINFOLD_API__PUBLIC_URL": "https://twins.example:8443/",
    }
    api = load({"data": str(tmp_path)}, environment).api
    assert (api.host, api.public_url) == ("10.0.0.7", "https://twins.example:8443")


def test_a_file_that_is_no_toml_is_told(tmp_path):
    (tmp_path / "twinfold.toml").write_text("port = = 1")
    with pytest.raises(SettingsError, match=r"twinfold\.toml"):
        load({"data": str(tmp_path)}, {})


def test_every_setting_is_described_and_readable(tmp_path):
    settings = load({"data": str(tmp_path)}, {})
    for name, description in names():
        assert description, name
        value(settings, name)


def test_a_database_of_another_kind_is_refused_without_its_password(tmp_path):
    url = "mysql://twin:s3cret@here/fleet"
    with pytest.raises(SettingsError, match=r"TWINFOLD_DATABASE__URL: .*use postgresql") as told:
        load({"data": str(tmp_path)}, {"TWINFOLD_DATABASE__URL": url})
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize("password", ["s3cret", "s3:cr%2Fet"])
def test_the_password_of_the_database_is_not_shown(tmp_path, password):
    url = f"postgresql://twin:{password}@here/fleet?sslkey={password}"
    settings = load({"data": str(tmp_path)}, {"TWINFOLD_DATABASE__URL": url})
    assert settings.database_config().url == url
    assert shown(settings, "database.url") == "postgresql://twin:***@here/fleet"
    assert password not in repr(settings)
    assert load({"data": str(tmp_path)}, {}).database_config().url == f"sqlite:///{tmp_path}/twinfold.db"


def test_no_secret_is_shown_by_settings_or_errors(tmp_path, monkeypatch):
    canary = "canary-7c1e"
    secrets = {
        "TWINFOLD_DATABASE__URL": f"postgresql://twin:{canary}@nowhere.invalid/fleet?sslpassword={canary}",
        "TWINFOLD_MQTT__URL": f"mqtts://bridge:{canary}@nowhere.invalid",
        "TWINFOLD_NOTIFICATIONS__MAIL_PASSWORD": canary,
    }
    settings = load({"data": str(tmp_path)}, secrets)
    assert canary not in repr(settings)
    assert canary not in settings.model_dump_json()
    for config in (settings.mqtt_config, settings.receivers_config, settings.database_config):
        assert canary in str(vars_of(config())), "what is handed on is whole"
        assert canary not in repr(config()), config.__name__
    for name, each in secrets.items():
        monkeypatch.setenv(name, each)
    for options in ([], ["--json"]):
        result = CliRunner().invoke(app, ["settings", "--data", str(tmp_path), *options])
        assert result.exit_code == 0, result.output
        assert "nowhere.invalid" in result.output
        assert canary not in result.output
    for command in (["user", "list"], ["device-key", "list"], ["doctor"]):
        result = CliRunner().invoke(app, [*command, "--data", str(tmp_path)])
        assert canary not in result.output + repr(result.exception), command
    wrong = {
        **secrets,
        "TWINFOLD_DATABASE__URL": f"mysql://twin:{canary}@here/x",
        "TWINFOLD_MAIL_PASSWORD": canary,
    }
    for name in ("TWINFOLD_DATABASE__URL", "TWINFOLD_MAIL_PASSWORD"):
        with pytest.raises(SettingsError) as told:
            load({"data": str(tmp_path)}, {name: wrong[name]})
        assert canary not in str(told.value)


def vars_of(config):
    """Every field of a frozen config, however deep, hidden or not."""
    return {
        field.name: vars_of(value) if is_dataclass(value := getattr(config, field.name)) else value
        for field in fields(config)
    }
