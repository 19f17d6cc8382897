"""`twinfold whatif`: from a file to an answer without a platform, and how it is shown."""

import json
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

import cluster.bringup
from cluster import cli_whatif
from cluster.cli import app
from training.experiments import FOLDER
from twins.errors import FleetError
from twins.whatif.experiments import Experiment
from twins.whatif.results import RunFolder
from twins.whatif.scenariofiles import parse_scenario, templates

FLEET = """\
name: small
seed: 3
sites: [{name: oslo, title: Oslo, climate: {mean_c: 6}}]
devices: [{type: centrifugal-pump, count: 2, id: "{site}-pump-{n}", interval_s: 60}]
"""
SCENARIO = """\
name: two-ways
base: {start: fleet, fleet: fleet.yaml, warm_up_h: 2}
horizon_h: 4
bucket_h: 2
step_s: 300
replications: 2
metrics: [cost, energy_kwh]
arms:
  - name: wait
  - {name: look, policy: {kind: threshold, when: "health < 80", review_h: 1}}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("fleet.yaml").write_text(FLEET)
    Path("scenario.yaml").write_text(SCENARIO)
    return tmp_path


def whatif(*arguments: str, status: int = 0) -> Result:
    said = CliRunner().invoke(
        app, ["whatif", *arguments, "--data", "data", "--workers", "1"], env={"COLUMNS": "200"}
    )
    if said.exit_code != status or (said.exception and not isinstance(said.exception, SystemExit)):
        raise said.exception or AssertionError(said.output)
    return said


def test_from_a_scenario_to_a_report(here: Path) -> None:
    said = whatif("scenario.yaml", "--out", "out").output
    assert "2 replications of 2 arms, against wait" in said
    assert "energy_kwh" in said
    assert "report.html" in said
    assert "two-ways" in Path("out/report.html").read_text()
    before = RunFolder(Path("out")).results()
    again = json.loads(whatif("scenario.yaml", "--out", "out", "--json").output)
    assert again["replications"] == 2
    assert len(again["figures"]) == 4
    assert RunFolder(Path("out")).results().tables == before.tables
    whatif("--out", "out", "--export", "csv")
    assert Path("out/csv/metrics.csv").read_text().startswith("arm,replication,metric,value")
    found = json.loads(
        whatif("--out", "out", "--rerun", "look:1", "--device", "oslo-pump-1", "--json").output
    )
    assert pq.read_table(found["path"]).num_rows == found["rows"]


def test_other_replications_need_another_folder(here: Path) -> None:
    whatif("scenario.yaml", "--out", "one", "--replications", "1")
    assert RunFolder(Path("one")).results().replications == 1
    with pytest.raises(FleetError, match="another scenario"):
        whatif("scenario.yaml", "--out", "one")


def test_check_tells_each_line_and_the_cost(here: Path) -> None:
    said = whatif("scenario.yaml", "--check").output
    assert "can be run" in said
    assert "2 devices, 2 arms" in said
    assert not Path("out").exists()
    Path("wrong.yaml").write_text(SCENARIO.replace("bucket_h: 2", "bucket_h: 3"))
    assert "wrong.yaml:4" in whatif("wrong.yaml", "--check", status=1).output
    with pytest.raises(FleetError, match=r"wrong.yaml:4"):
        whatif("wrong.yaml", "--out", "out")
    assert not Path("out").exists()


def test_templates_are_printed_as_they_are(here: Path) -> None:
    name, text = next(iter(templates().items()))
    assert whatif("--template", name).output == text
    assert name in whatif("--template", "list").output
    for words in (
        ("--template", "none"),
        (),
        ("--check",),
        ("--out", "x", "--rerun", "a"),
        ("--out", "x", "--rerun", "a:1"),
    ):
        assert whatif(*words, status=2)


def test_a_folder_without_an_experiment_is_said(here: Path) -> None:
    with pytest.raises(FleetError, match="holds no experiment"):
        whatif("--out", "nowhere")


def test_where_a_platform_runs_it_is_a_job(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    live = SCENARIO.replace("{start: fleet, fleet: fleet.yaml, warm_up_h: 2}", "{start: live}")
    Path("live.yaml").write_text(live)

    class WhatIf:
        def begin(self, text: str) -> Any:
            asked.append(text)
            from training.lab import Lab

            simulated = parse_scenario(SCENARIO).scenario
            made = Lab(Path("data"), None).experiment(simulated)  # type: ignore[arg-type]  # not asked of a simulated fleet
            Experiment(parse_scenario(text).scenario, made.fork, made.present).run(
                Path("data", FOLDER, "whatif-1")
            )
            return SimpleNamespace(id="whatif-1")

    @contextmanager
    def connected(data: Path) -> Any:
        yield SimpleNamespace(whatif=WhatIf())

    monkeypatch.setattr(cli_whatif, "connected", connected)
    monkeypatch.setattr(cli_whatif, "followed", lambda client, job: None)
    monkeypatch.setattr(cluster.bringup, "running", lambda data: object())
    assert "2 replications" in whatif("live.yaml", "--out", "out").output
    assert parse_scenario(asked[0]).scenario.base.start == "live"
    assert RunFolder(Path("out")).is_ended
    assert len(asked) == 1
    whatif("live.yaml", "--out", "out")
    assert len(asked) == 1
