"""A run on recorded engines: the same whoever does it, taken up again where it was left, and never half a model."""

import gzip
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from training import anomaly, training_runs
from training.anomaly import HealthyModel
from training.errors import TooFewFailuresError
from training.forecasts import ANY, FORECASTS, forecasts, forecasts_since, within
from training.history import History
from training.importing import import_files
from training.recorder import journals_in
from training.survival import SurvivalModel
from training.training_runs import TrainingStopped, Worker, begin, go_on, outcome, progress, stop
from twins.clock import DAY_US, WallClock
from twins.devices import DeviceType
from twins.typefiles import load_catalog

ROOT = Path(__file__).parents[2]
ENGINES = ROOT / "examples/data/cmapss"
MAPPINGS = ROOT / "examples/mappings"
TYPE: DeviceType = load_catalog()["turbofan"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty engines that failed, five that have not."""
    folder = tmp_path_factory.mktemp("engines")
    import_files(MAPPINGS / "cmapss.yaml", sorted(ENGINES.glob("train_*.gz")), folder)
    import_files(MAPPINGS / "cmapss-test.yaml", sorted(ENGINES.glob("test_*.gz")), folder)
    return folder


BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


def begun(folder: Path, data: Path, **said: Any) -> Path:
    begin(folder, data, TYPE, WallClock().now_us(), by="ann", landmarks=1500, **said)
    return folder


def done(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.name != "plan.json"}


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that one worker has done."""
    folder = begun(tmp_path_factory.mktemp("runs") / "one", data)
    Worker(folder).work()
    return folder


def test_three_workers_come_to_the_same_bits_as_one(run: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "three"
    folder.mkdir()
    for name in ("plan.json", "devices.json"):
        (folder / name).write_bytes((run / name).read_bytes())
    failed: list[BaseException] = []

    def work(rank: int) -> None:
        try:
            Worker(folder, rank, 3).work()
        except BaseException as error:
            failed.append(error)

    threads = [Thread(target=work, args=(rank,)) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert done(folder) == done(run)


def test_a_run_goes_on_from_what_was_done(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cut off"
    folder.mkdir()
    for name in ("plan.json", "devices.json"):
        (folder / name).write_bytes((run / name).read_bytes())
    keep, kept = training_runs.keep, []

    def full_after(path: Path, block: Any) -> None:
        if len(kept) == 5:
            raise OSError(28, "No space left on device")
        kept.append(path)
        keep(path, block)

    monkeypatch.setattr(training_runs, "keep", full_after)
    with pytest.raises(OSError, match="No space"):
        Worker(folder).work()
    assert not (folder / "model.npz").exists()
    share, said = progress(folder)
    assert 0 < share < 0.7
    assert "5 of" in said
    times = {path: path.stat().st_mtime_ns for path in kept}
    monkeypatch.setattr(training_runs, "keep", keep)
    Worker(folder).work()
    assert {path: path.stat().st_mtime_ns for path in kept} == times
    assert done(folder) == done(run)


def test_a_run_ends_where_it_is_told_to_and_can_go_on(run: Path, data: Path, tmp_path: Path) -> None:
    folder = begun(tmp_path / "stopped", data)
    stop(folder)
    with pytest.raises(TrainingStopped):
        Worker(folder).work()
    assert progress(folder)[0] == 0.0
    go_on(folder)
    Worker(folder, 0, 1).check()


def test_what_was_begun_days_ago_is_begun_anew(data: Path, tmp_path: Path) -> None:
    folder, now_us = begun(tmp_path / "old", data), WallClock().now_us()
    (folder / "part-0000.arrow").write_bytes(b"of then")
    assert begin(folder, data, TYPE, now_us + DAY_US // 2, by="ann").stride > 1
    assert (folder / "part-0000.arrow").exists()
    assert begin(folder, data, TYPE, now_us + 2 * DAY_US, by="ann").until_us == now_us + 2 * DAY_US
    assert not (folder / "part-0000.arrow").exists()


def test_what_is_learned_orders_engines_it_has_not_seen(run: Path) -> None:
    manifest, arrays = outcome(run)
    assert manifest.metrics["concordance"] > 0.85
    assert manifest.metrics["brier"] < 0.5 * manifest.metrics["brier_constant"]
    assert 0.75 < manifest.metrics["coverage_90"] <= 1.0
    assert (manifest.parameters["failures"], manifest.parameters["devices"]) == (20, 25)
    assert set(manifest.data) > {"events", "readings_turbofan"}
    assert manifest.features[-1] == "age_h"
    assert SurvivalModel.from_arrays(arrays).horizon_h == TYPE.horizon_h == 125
    json.dumps([dict(manifest.metrics), manifest.calibration], allow_nan=False)


def test_what_tells_engines_unlike_healthy_ones_is_learned_in_the_same_run(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, arrays = outcome(run)
    assert HealthyModel.from_arrays(arrays) is None, "25 engines are too few"
    assert "healthy_devices" not in manifest.metrics
    monkeypatch.setattr(anomaly, "FEWEST_DEVICES", 15)
    found = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        shutil.copytree(run, folder, ignore=shutil.ignore_patterns("model.npz", "manifest.json"))
        threads = [Thread(target=Worker(folder, rank, workers).work) for rank in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found.append((folder / "model.npz").read_bytes())
    assert found[0] == found[1]
    manifest, arrays = outcome(tmp_path / "1")
    model, healthy = SurvivalModel.from_arrays(arrays), HealthyModel.from_arrays(arrays)
    assert healthy is not None
    assert manifest.metrics["healthy_devices"] == len(healthy.seen) >= 15
    assert manifest.metrics["false_unlike"] < 0.15
    rows = Worker(run).landmarks()
    told = model.forecast(rows.covariates, rows.device_id)
    p = healthy.p_values(anomaly.columns(rows.covariates, told.seen), rows.device_id)
    worn = rows.failed & (rows.remaining_h < 10.0)
    assert np.nanmedian(p[worn]) < 0.1 < np.nanmedian(p[anomaly.healthy(rows, model.horizon_h)])


def test_age_is_left_out_where_it_is_not_wanted(data: Path, tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", data, with_age=False)
    Worker(folder).work()
    manifest, arrays = outcome(folder)
    assert "age_h" not in manifest.features
    assert not SurvivalModel.from_arrays(arrays).with_age


def test_those_that_have_not_failed_are_forecast_as_of_their_newest_reading(run: Path, data: Path) -> None:
    model = SurvivalModel.from_arrays(outcome(run)[1])
    with History(data / "history", journals_in(data / "hosts")) as history:
        found = forecasts(history, model, TYPE, WallClock().now_us())
    assert found.schema == FORECASTS
    assert found["device_id"].to_pylist() == [f"test_FD001_units_1-5-{unit}" for unit in range(1, 6)]
    assert set(found["failure_mode"].to_pylist()) == {ANY}
    quantiles = np.stack([found[f"rul_p{p:02}_h"].to_numpy() for p in (5, 10, 25, 50, 75)])
    assert (np.diff(quantiles, axis=0) >= 0).all()
    risks = np.stack([found[name].to_numpy() for name in ("p_fail_24h", "p_fail_7d", "p_fail_30d")])
    assert (np.diff(risks, axis=0) >= 0).all()
    truth = np.array([112, 98, 69, 82, 91])
    assert np.abs(found["rul_mean_h"].to_numpy() - truth).mean() < 30


def test_what_would_have_been_said_is_of_each_reading_since_and_ends_in_what_is_said(
    run: Path, data: Path
) -> None:
    model, now_us = SurvivalModel.from_arrays(outcome(run)[1]), WallClock().now_us()
    spans = within(["36h", "3d"])
    since = BEGINNING + timedelta(days=1)
    since_us = int(since.timestamp() * 1e6)
    with History(data / "history", journals_in(data / "hosts")) as history:
        now = forecasts(history, model, TYPE, now_us, spans)
        then = forecasts_since(history, model, TYPE, since_us, now_us, spans)
        none = forecasts_since(history, model, TYPE, now_us, now_us, spans)
        count = history.query("SELECT count(*) AS n FROM readings_turbofan WHERE epoch_us(event_time) >= $since",
                              {"since": since_us})["n"][0].as_py()  # fmt: skip
    assert then.schema == now.schema == none.schema
    assert then.num_rows == count
    assert none.num_rows == 0
    assert pc.min(then["event_time"]).as_py() >= since
    assert len(set(then["device_id"].to_pylist())) == 25  # those that failed, too
    newest = {(row["device_id"], row["event_time"]): row for row in then.to_pylist()}
    for row in now.to_pylist():
        assert newest[row["device_id"], row["event_time"]] == row
    risks = np.stack(
        [then[name].to_numpy() for name in ("p_fail_24h", "p_fail_36h", "p_fail_3d", "p_fail_7d")]
    )
    assert (np.diff(risks, axis=0) >= 0).all()


def test_what_would_have_been_said_knows_nothing_of_what_came_later(run: Path, tmp_path: Path) -> None:
    """Engines whose later flights are left out, and the same with wild ones: what is said before is the same."""
    model, said = SurvivalModel.from_arrays(outcome(run)[1]), []
    text = gzip.decompress((ENGINES / "test_FD001_units_1-5.txt.gz").read_bytes()).decode().splitlines()
    for name, wild in (("short", False), ("long", True)):
        rows = [line.split() for line in text]
        kept = [row for row in rows if wild or int(row[1]) <= 20]
        late = [[*row[:5], *row[7:], "0", "0"] if int(row[1]) > 20 else row for row in kept]
        file = tmp_path / name / "test_FD001.txt"
        file.parent.mkdir()
        file.write_text("\n".join(" ".join(row[:26]) for row in late) + "\n")
        import_files(MAPPINGS / "cmapss-test.yaml", [file], tmp_path / name)
        with History(tmp_path / name / "history", journals_in(tmp_path / name / "hosts")) as history:
            found = forecasts_since(history, model, TYPE, 0, WallClock().now_us())
        early = found.filter(pc.field("event_time") <= pa.scalar(BEGINNING + timedelta(hours=20)))
        said.append(early)
    assert said[0].num_rows == 5 * 20
    assert said[0].equals(said[1])


@pytest.mark.parametrize("span", ["3", "0d", "1w", "-2h", "1.5d", "3d ", ""])
def test_a_span_is_hours_or_days(span: str) -> None:
    with pytest.raises(ValueError, match="such as 72h or 3d"):
        within([span])


def test_too_few_failures_are_refused_with_what_to_do(tmp_path: Path) -> None:
    import_files(MAPPINGS / "cmapss.yaml", [ENGINES / "train_FD001_units_1-5.txt.gz"], tmp_path)
    with pytest.raises(
        TooFewFailuresError, match="tells of 5 failures of type 'turbofan', and a model takes 10"
    ):
        begun(tmp_path / "run", tmp_path)
    assert not (tmp_path / "run").exists()
