"""``twinfold backtest`` tells how far what-ifs have been right, from a data folder alone."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster.cli import app
from tests.training.pump_world import PUMP, World
from training import backtest


def test_compares_a_fleet_with_its_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(World(tmp_path)) as world:
        at = datetime.fromtimestamp(world.middle_us / 1e6, UTC).isoformat()
    said = CliRunner().invoke(
        app,
        ["backtest", PUMP.name, "--data", str(tmp_path), "--at", at, "--horizon-h", "2", "--replications", "20",
         "--devices", "6", "--json"],
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    found = json.loads(said.output)
    assert {row["quantity"] for row in found["scores"]} >= {"vibration", "health", "failed"}
    assert found["trust"] == backtest.trust(tmp_path, [PUMP.name])
