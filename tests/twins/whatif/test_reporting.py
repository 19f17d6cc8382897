"""The page of an experiment says what was asked and what came of it, and needs nothing else."""

import csv
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.twins.whatif.forked import SimulatedFleet, pumps
from twins.whatif import exporting, reporting
from twins.whatif.experiments import Experiment
from twins.whatif.forks import Fork
from twins.whatif.intervals import Estimate
from twins.whatif.results import RunFolder
from twins.whatif.scenarios import Arm, Policy, Scenario

SCENARIO = Scenario(
    "two-ways",
    (Arm("wait"), Arm("look", "<b>by eye</b>", Policy("threshold", when="health < 80", review_h=1))),
    title="Wait & look", horizon_h=6.0, bucket_h=3.0, step_s=300.0, replications=3,
    metrics=("cost", "energy_kwh", "failures"), keep=("work",),
)  # fmt: skip


@pytest.fixture(scope="module")
def forked() -> Fork:
    return SimulatedFleet(pumps(), count=2).fork


@pytest.fixture(scope="module")
def folder(forked: Fork, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    out = tmp_path_factory.mktemp("lab") / "out"
    manifest = {"types": {"centrifugal-pump": 1}, "models": {"centrifugal-pump": None}, "data": {"events": 7}}
    Experiment(SCENARIO, forked, manifest=manifest).run(out)
    return RunFolder(out)


def test_the_page_is_whole_and_by_itself(folder: RunFolder) -> None:
    page = reporting.write(folder).read_text()
    assert page.startswith("<!doctype html>")
    for word in (
        "Wait &amp; look",
        "4 centrifugal-pump",
        "energy_kwh",
        "3 replications",
        "kW.h",
        "No backtest",
    ):
        assert word in page, word
    assert folder.manifest()["scenario_hash"] in page
    assert "&lt;b&gt;by eye" in page
    assert "<b>" not in page
    assert not re.search(r"https?://|<script|src=|@import", page)
    assert page.count("<tr>") == 3 + len(SCENARIO.arms) + 2 * len(SCENARIO.metrics)
    assert not re.search(r"<td>-?(nan|inf)", page)


def test_a_backtest_is_told(folder: RunFolder) -> None:
    found = folder.results()
    told = replace(found, manifest={**found.manifest, "trust": "held 9 of 10 times"})
    assert "held 9 of 10 times" in reporting.page(told)


def test_a_citation_names_all_that_a_result_depends_on(folder: RunFolder) -> None:
    manifest = folder.manifest()
    said = reporting.citation(SCENARIO, manifest)
    for word in (
        manifest["scenario_hash"],
        "seed 1",
        f"Twinfold {manifest['twinfold']}",
        "centrifugal-pump 1",
        "events 7",
    ):
        assert word in said, word
    assert "None" not in said


def test_figures_are_rounded_and_what_is_not_known_is_a_dash() -> None:
    assert reporting.figure(12345.6) == "12,346"
    assert reporting.figure(0.123456) == "0.1235"
    assert reporting.interval(Estimate(2.0, -math.inf, math.inf, 0.9, 1)) == "2 (– … –)"


def test_rows_are_json(folder: RunFolder) -> None:
    rows = json.loads(json.dumps(reporting.rows(folder.results()), allow_nan=False))
    assert [(row["metric"], row["arm"]) for row in rows[:2]] == [("cost", "wait"), ("cost", "look")]
    assert rows[0]["difference"] is None
    assert rows[1]["difference"]["n"] == 3
    assert len(reporting.texts(folder.results())) == 6


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
def test_tables_are_written_whole(folder: RunFolder, tmp_path: Path, form: exporting.Format) -> None:
    found = folder.results()
    paths = exporting.export(found, tmp_path / "tables", form)
    assert sorted(path.stem for path in paths) == ["buckets", "metrics", "runs", "work"]
    rows = {
        "parquet": lambda path: pq.read_table(path).num_rows,
        "csv": lambda path: len(list(csv.DictReader(path.read_text().splitlines()))),
        "json": lambda path: len(json.loads(path.read_text())),
    }[form]
    for path in paths:
        table = found.values() if path.stem == "metrics" else found.arrow(path.stem)
        assert rows(path) == len(table)
