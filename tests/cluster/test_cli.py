"""The command line as a person uses it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster.cli import app
from tests.training.journals import Account, Actor
from tests.twins.fleets import PUMP, T0, Line, batch_of, pumps
from training.errors import QueryError
from training.recorder import Recorder, journals_in
from twins.clock import SECOND_US, VirtualClock
from twins.fleet import LocalFleet


@pytest.mark.parametrize("recorded", [False, True])
def test_a_query_sees_what_is_not_recorded_yet(tmp_path: Path, recorded: bool) -> None:
    actors = [Actor(name, tmp_path / "hosts" / name / "journal", Account()) for name in ("host-0", "host-1")]
    for actor in actors:
        actor.readings([(0, 1, [1.0, 2.0, 3.0])])
    if recorded:
        recorder = Recorder(tmp_path / "history", journals_in(tmp_path / "hosts"))
        recorder.step()
        recorder.flush()
        recorder.close()
    for actor in actors:
        actor.readings([(0, 2, [4.0, 5.0, 6.0])])
    sql = "SELECT actor, count(*) AS n FROM readings_test_pump GROUP BY actor ORDER BY actor"
    result = CliRunner().invoke(app, ["query", sql, "--data", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == [{"actor": "host-0", "n": 2}, {"actor": "host-1", "n": 2}]
    for actor in actors:
        actor.close()


def test_shows_a_twin_as_it_was(tmp_path: Path) -> None:
    with LocalFleet(tmp_path / "hosts", clock=VirtualClock(T0)) as fleet:
        fleet.install(PUMP)
        fleet.register(pumps(2))
        for second, vibration in ((1, 3.0), (2, 4.0)):
            now_us = T0 + second * SECOND_US
            fleet.clock.advance_to(now_us)
            fleet.write(batch_of([Line(now_us, "pump-0", now_us, (50.0, vibration, 60.0), 0b111)]))
    ask = ["twin", "pump-0", "--data", str(tmp_path), "--json"]
    before = datetime.fromtimestamp((T0 + SECOND_US) / 1e6, UTC).isoformat()
    now, then = (CliRunner().invoke(app, [*ask, *extra]) for extra in ([], ["--at", before]))
    assert json.loads(now.stdout)["values"]["vibration"]["value"] == 4.0
    assert json.loads(then.stdout)["values"]["vibration"]["value"] == 3.0
    wrong = CliRunner().invoke(app, [*ask, "--at", "yesterday"])
    assert isinstance(wrong.exception, QueryError)
    assert "2026-01-31T12:00:00Z" in str(wrong.exception)


def test_a_query_sees_the_twins_as_they_stand_beside_the_running_fleet(tmp_path: Path) -> None:
    with LocalFleet(tmp_path / "hosts", clock=VirtualClock(T0)) as fleet:
        fleet.install(PUMP)
        fleet.register(pumps(3))
        now_us = fleet.clock.advance_by(1.0)
        fleet.write(batch_of([Line(now_us, "pump-1", now_us, (50.0, 3.5, 60.0), 0b111)]))
        for sql, wanted in (
            ("SELECT status, count(*) AS n FROM live GROUP BY 1 ORDER BY 1",
             [{"status": "reporting", "n": 1}, {"status": "silent", "n": 2}]),
            ("SELECT device_id FROM live_test_pump WHERE vibration > 3", [{"device_id": "pump-1"}]),
        ):  # fmt: skip
            result = CliRunner().invoke(app, ["query", sql, "--data", str(tmp_path), "--json"])
            assert result.exit_code == 0, result.output
            assert json.loads(result.stdout) == wanted
        result = CliRunner().invoke(app, ["query", "show tables", "--data", str(tmp_path), "--json"])
        assert {"live", "live_test_pump"} <= {row["table"] for row in json.loads(result.stdout)}
