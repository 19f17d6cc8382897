"""The command line as a person uses it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster.cli import app
from tests.training.journals import Account, Actor
from training.recorder import Recorder, journals_in


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
