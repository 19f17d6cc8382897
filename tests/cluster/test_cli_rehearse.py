"""`twinfold rehearse`: what is asked of the platform, and how its answer is shown."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cluster import cli_rehearse
from cluster.cli import app
from serve.schemas.rehearsals import Rehearsal

COUNTS = {
    "before": 12, "after": 9, "same": 8, "moved": 1, "appeared": 0, "vanished": 3, "stood": 2, "shift_s": 30.0,
    "rate": {"before": 120.0, "after": 90.0, "difference": -30.0, "low": -44.0, "high": -12.5},
}  # fmt: skip
STRETCH = {"raised": "2026-01-30T08:00:00Z", "cleared": "2026-01-30T08:05:00Z"}
FOUND = Rehearsal.model_validate(
    {
        "type": "valve", "seed": 5, "start": "2026-01-29T00:00:00Z", "end": "2026-01-31T00:00:00Z", "days": 2.0,
        "shortened": "readings", "devices": 20, "of_devices": 4000, "readings": 57_600, "of_readings": 11_520_000,
        "put_aside": 1, "differing": 3, "may_differ": None, "in_all": COUNTS, "rules": [{"rule": "stuck", **COUNTS}],
        "peak": {"before": 4, "after": 3},
        "examples": [
            {
                "device_id": "valve-7", "rule": "stuck", "change": "vanished", "before": STRETCH, "after": None,
                "shift_s": None,
            }
        ],
    }
)  # fmt: skip


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of a platform that always finds the same."""
    said: list[Any] = []

    class Types:
        def rehearse(self, name: str, rules: str, **more: Any) -> Rehearsal:
            said.append((name, rules, more))
            return FOUND

    @contextmanager
    def connected(data: Path) -> Iterator[Any]:
        yield SimpleNamespace(types=Types())

    monkeypatch.setattr(cli_rehearse, "connected", connected)
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text("type: valve\nrules: []\n")
    Path("nameless.yaml").write_text("rules: []\n")
    return said


def rehearse(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rehearse", *arguments], env={"COLUMNS": "200"})


def test_asks_about_the_type_that_the_file_names_and_shows_what_changes(asked: list[Any]) -> None:
    result = rehearse("rules.yaml", "--days", "2", "--seed", "5")
    assert result.exit_code == 0, result.output
    assert asked == [("valve", "type: valve\nrules: []\n", {"days": 2.0, "devices": None, "seed": 5})]
    for words in ("20 of 4,000 devices", "more would take too long", "4 before, 3 after"):
        assert words in result.output


def test_gives_programs_the_answer_as_it_came(asked: list[Any]) -> None:
    result = rehearse("nameless.yaml", "--type", "valve", "--json")
    assert Rehearsal.model_validate(json.loads(result.stdout)) == FOUND


@pytest.mark.parametrize("arguments", [("nameless.yaml",), ("rules.yaml", "--all", "--devices", "7")])
def test_refuses_what_makes_no_sense_before_asking(asked: list[Any], arguments: tuple[str, ...]) -> None:
    assert rehearse(*arguments).exit_code == 2
    assert not asked
