"""`twinfold types`: listing and checking as ever, versions from the database, installing on a running platform."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cluster import bringup
from cluster.cli import app
from twins.devices import DeviceType
from twins.errors import DeviceTypeNotFoundError
from twins.fleet import FleetConfig, LocalFleet
from twins.typefiles import parse_type, to_yaml

VALVE = parse_type(
    """
name: valve
channels:
  - {name: stroke, unit: mm, low: 0, high: 80, resolution: 0.1}
rules:
  - name: stuck
    when: stroke < 5
    priority: high
    consequence: The line stays shut.
    response: Open the bypass.
"""
)
LATER = replace(VALVE, rules=(replace(VALVE.rules[0], when="stroke < 3.0"),))


def types(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["types", *arguments])


def found(*arguments: str) -> Any:
    result = types(*arguments, "--json")
    assert result.exit_code == 0, result.output + repr(result.exception)
    return json.loads(result.stdout)


def written(path: Path, device_type: DeviceType) -> str:
    path.write_text(to_yaml(device_type))
    return str(path)


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalFleet]:
    """A platform that runs, as far as the command line can tell."""
    with LocalFleet(tmp_path / "hosts", FleetConfig(hosts=2)) as fleet:

        @contextmanager
        def join(data: Path) -> Iterator[LocalFleet]:
            yield fleet

        monkeypatch.setattr(bringup, "join_running", join)
        monkeypatch.setattr(bringup, "running", lambda data: True)
        yield fleet


def test_alone_it_lists_and_with_files_it_checks(tmp_path: Path) -> None:
    listed = found("--folder", str(tmp_path))
    assert "centrifugal-pump" in [row["type"] for row in listed]
    assert found("list", "--folder", str(tmp_path)) == listed
    file = written(tmp_path / "valve.yaml", VALVE)
    assert found(file) == found("check", file) == [{"file": file, "type": "valve", "version": 1}]
    (tmp_path / "bad.yaml").write_text("name: bad\nchannels: [{name: x, unit: furlongs}]\n")
    assert "furlongs" in str(types(str(tmp_path / "bad.yaml")).exception)
    result = types("--folder", str(tmp_path))
    assert result.exit_code == 1
    assert "valve" in result.output
    assert "bad.yaml:2" in result.output.replace("\n", "")  # a long path is broken where the line ends
    assert types("missing.yaml").exception is not None
    assert types("nonsense").exit_code == 2


def test_a_file_is_installed_changed_and_taken_back(tmp_path: Path, platform: LocalFleet) -> None:
    data = ("--data", str(tmp_path))
    installed = found("install", written(tmp_path / "valve.yaml", VALVE), *data)
    assert installed == {"type": "valve", "in_force": 1, "version": 1, "rules": 1}
    found("install", written(tmp_path / "valve.yaml", LATER), "--why", "too early", *data)
    assert platform.types["valve"] == replace(LATER, version=2)
    assert found("diff", "valve", "1", "2", "--rules", *data) == [
        {"what": "stuck.when", "before": "stroke < 5", "after": "stroke < 3.0"}
    ]
    assert found("activate", "valve", "--rules", "1", *data)["in_force"] == 3
    assert platform.types["valve"] == replace(VALVE, version=3)
    shown = found("show", "valve", *data)
    assert (shown["in force"], shown["version"], shown["rules"]) == (3, 1, 1)
    told = found("versions", "valve", *data)
    assert [(row["in force"], row["rules"], row["why"]) for row in told["installations"]] == [
        (3, 1, ""), (2, 2, "too early"), (1, 1, ""),
    ]  # fmt: skip
    assert [row["version"] for row in told["versions"] if row["part"] == "rules" and row["in force"]] == [1]
    assert parse_type(types("export", "valve", "--rules", "2", *data).stdout) == LATER
    assert parse_type(types("export", "valve", *data).stdout) == VALVE


def test_what_is_staged_waits_for_activate(tmp_path: Path, platform: LocalFleet) -> None:
    data = ("--data", str(tmp_path))
    file = written(tmp_path / "valve.yaml", VALVE)
    assert found("install", file, "--stage", *data)["staged"] is True
    assert "valve" not in platform.types
    row = next(row for row in found("list", *data) if row["type"] == "valve")
    assert (row["in force"], row["staged"]) == (None, "version 1, rules 1")
    found("activate", "valve", *data)
    assert platform.types["valve"] == VALVE
    result = types("activate", "valve", *data)
    assert result.exit_code == 1
    assert "nothing of valve is staged" in result.output


def test_without_a_platform_a_file_is_kept_for_later(tmp_path: Path) -> None:
    result = types("install", written(tmp_path / "valve.yaml", VALVE), "--data", str(tmp_path))
    assert result.exit_code == 0
    assert "twinfold types activate valve" in " ".join(result.output.split())
    assert isinstance(types("activate", "valve", "--data", str(tmp_path)).exception, bringup.NotRunningError)
    assert isinstance(types("show", "valve", "--data", str(tmp_path)).exception, DeviceTypeNotFoundError)
