"""`twinfold models`: what is kept of models in a data folder, and putting one in force, without a platform."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from cluster import cli_models
from cluster.cli import app
from serve.schemas.models import PromotionReport
from tests.cluster.test_cli_rehearse import FOUND
from tests.models import ARRAYS, MANIFEST, measured
from tests.twins.test_prognosis import TYPE, told
from training.errors import ModelNotFoundError, NoChampionError, NoFormerModelError
from training.registry import FOLDER, Registry
from twins.clock import WallClock
from twins.commands import RecordMaintenance
from twins.devices import Device
from twins.fleet import FleetConfig, LocalFleet
from twins.host import HostConfig
from twins.readings import ReadingBatch


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with two versions of a pump's model, of which none is in force."""
    registry = Registry(tmp_path / FOLDER)
    registry.add(MANIFEST, ARRAYS)
    registry.add(measured(brier=0.08), ARRAYS)
    return tmp_path


def models(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["models", *arguments, "--data", str(data)])


def found(data: Path, *arguments: str) -> Any:
    result = models(data, *arguments, "--json")
    assert result.exit_code == 0, result.output + repr(result.exception)
    return json.loads(result.stdout)


def said(data: Path, *arguments: str) -> str:
    result = models(data, *arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.stdout


def test_alone_it_lists(data: Path) -> None:
    listed = found(data)
    assert [(row["version"], row["role"], row["brier"]) for row in listed] == [
        (2, "challenger", 0.08), (1, "challenger", 0.09),
    ]  # fmt: skip
    assert found(data, "list", "pump") == listed
    assert found(data, "fan") == []
    assert found(data / "nowhere") == []
    assert "0.08" in said(data)


def test_what_is_put_in_force_is_shown_with_who_and_why(data: Path) -> None:
    assert "version 1 of the model of pump is in force" in said(data, "promote", "pump", "1")
    assert found(data, "promote", "pump", "2", "--reason", "better") == {"type": "pump", "version": 2}
    shown = found(data, "show", "pump")
    assert shown["version"] == 2
    assert shown["manifest"]["features"] == list(MANIFEST.features)
    (put,) = shown["put_in_force"]
    assert (put["former"], put["reason"]) == (1, "better")
    assert put["by"].endswith("(command line)")
    text = said(data, "show", "pump")
    assert "readings_pump 17, events 4" in text
    assert "better" in text
    assert found(data, "rollback", "pump", "--reason", "cries wolf")["version"] == 1
    assert [row["role"] for row in found(data)] == ["retired", "champion"]
    assert isinstance(models(data, "rollback", "pump").exception, NoFormerModelError)


def test_compares_two_and_says_which_is_better(data: Path) -> None:
    assert found(data, "compare", "pump", "1", "2")["better"] is True
    text = said(data, "compare", "pump", "2", "1")
    assert "version 1 is not better than 2" in text
    assert "Its Brier score is 0.0900, not lower than 0.0800." in text
    assert (
        "Held out by device alone, not in time. Version 2 was not in force when version 1 was trained."
        in text
    )


def test_tells_what_forecasts_were_worth(tmp_path: Path) -> None:
    assert found(tmp_path, "record", "pump")["versions"] == []
    assert "no device of type pump was forecast in the last 3 days" in said(
        tmp_path, "record", "pump", "--days", "3"
    )
    clock = WallClock()
    with LocalFleet(tmp_path / "hosts", FleetConfig(host=HostConfig(recorded=True)), clock) as fleet:
        fleet.install(TYPE)
        fleet.register([Device("a", TYPE.name)])
        now_us = clock.now_us()
        values = np.array([[50.0, 1.0, 20.0]], np.float32)
        fleet.write(
            ReadingBatch(TYPE.name, pa.array(["a"]), np.zeros(1, np.int32), np.array([now_us]), values)
        )
        fleet.score(0, told(fleet.scorable(0, TYPE.name, 0, 9, True), 0.75))
        failure = RecordMaintenance(
            command_id="f", by="ann", device_id="a", kind="failure", at_us=clock.now_us()
        )
        fleet.command(failure)
    (only,) = found(tmp_path, "record", TYPE.name)["versions"]
    assert (only["version"], only["shadow"], only["failures"], only["missed"]) == (4, False, 1, 0)
    text = said(tmp_path, "record", TYPE.name)
    assert "1 of 1 devices that were forecast" in text


def test_shows_what_a_version_would_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    reports = [
        PromotionReport(type="valve", candidate=3, in_force=2, rules=["soon"], comparison=FOUND),
        PromotionReport(type="valve", candidate=3, in_force=2, rules=[], comparison=None),
    ]

    class Models:
        def report(self, name: str, version: int, **more: Any) -> PromotionReport:
            asked.append((name, version, more))
            return reports[len(asked) - 1]

    @contextmanager
    def connected(_: Path) -> Iterator[Any]:
        yield SimpleNamespace(models=Models())

    monkeypatch.setattr(cli_models, "connected", connected)
    text = said(tmp_path, "report", "valve", "3", "--days", "2", "--seed", "5")
    assert "57,600 readings under version 2 and under version 3" in text
    assert asked == [("valve", 3, {"days": 2.0, "devices": None, "seed": 5})]
    assert "no alert rule of valve asks for a forecast" in said(tmp_path, "report", "valve", "3")
    both = models(tmp_path, "report", "valve", "3", "--all", "--devices", "5")
    assert both.exit_code == 2


def test_where_none_is_in_force_a_version_is_to_be_named(data: Path) -> None:
    assert isinstance(models(data, "show", "pump").exception, NoChampionError)
    assert found(data, "show", "pump", "1")["role"] == "challenger"


def test_what_is_not_there_is_told_with_what_is(data: Path) -> None:
    for arguments, problem in (
        (("show", "pump", "9"), "no model of 'pump' has the number 9 (there are 1, 2); check it"),
        (("promote", "fan", "1"), "no model of 'fan' is kept; `twinfold train fan` makes one"),
    ):
        error = models(data, *arguments).exception
        assert isinstance(error, ModelNotFoundError)
        assert str(error) == problem
