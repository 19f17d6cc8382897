"""A training as a job: a version that takes the champion's place if it is better, and nothing where it did not end."""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from training import training_jobs, training_runs
from training.boosting import Boosting
from training.errors import TrainingFailedError
from training.importing import import_files
from training.jobs import Job, JobStopped, Run
from training.registry import FOLDER, Registry, verdict
from training.training_runs import TrainingStopped, Worker
from twins.clock import WallClock
from twins.typefiles import load_catalog

ROOT = Path(__file__).parents[2]
TYPES = load_catalog()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty engines that failed, and trees that are soon grown."""
    monkeypatch.setattr(training_runs, "Boosting", partial(Boosting, rounds=15, rate=0.2))
    files = sorted((ROOT / "examples/data/cmapss").glob("train_*.gz"))
    import_files(ROOT / "examples/mappings/cmapss.yaml", files, tmp_path)
    return tmp_path


def by_one(folder: Path) -> None:
    Worker(folder).work()


def run(number: int, **asked: Any) -> tuple[Run, list[Any]]:
    told: list[Any] = []
    request = training_jobs.request("turbofan", **asked)
    job = Job(f"training-{number}", "training", request, "ann", created_us=WallClock().now_us())
    return Run(job, lambda *said: told.append(said)), told


def work(data: Path, job: Run, train: training_jobs.Train = by_one) -> Mapping[str, Any]:
    return training_jobs.work(data, TYPES.__getitem__, train, job)


def test_a_model_takes_the_place_of_what_it_beats_on_the_same_devices(data: Path) -> None:
    registry = Registry(data / FOLDER)
    job, told = run(1)
    first = work(data, job)
    assert (first["model"], first["promoted"]) == (1, True)
    shares = [share for share, *_ in told]
    assert shares == sorted(shares)
    assert not list((data / training_runs.FOLDER).iterdir())

    same = work(data, run(2)[0])
    assert (same["model"], same["promoted"], same["verdict"]["comparable"]) == (2, False, True)
    challenger = registry.get("turbofan", 2)
    against = challenger.manifest.against
    assert against["version"] == 1
    assert (
        against["metrics"].items() <= challenger.manifest.metrics.items()
    )  # the very same, for it is the same model
    assert not verdict(registry.champion("turbofan"), challenger).better
    champion = registry.champion("turbofan")
    assert champion is not None
    assert champion.version == 1

    one, other = registry.load("turbofan", 1), registry.load("turbofan", 2)
    assert all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


def test_one_that_is_not_to_be_put_in_force_waits_for_approval(data: Path) -> None:
    assert work(data, run(1, promote=False)[0])["promoted"] is False
    assert Registry(data / FOLDER).champion("turbofan") is None


def test_a_run_that_fails_or_is_cancelled_leaves_what_is_in_force_and_goes_on_later(data: Path) -> None:
    def fails(_: Path) -> None:
        raise TrainingFailedError("turbofan", "a worker died")

    job, _ = run(1)
    with pytest.raises(TrainingFailedError, match="a worker died"):
        work(data, job, fails)

    begun = Event()

    def waits(folder: Path) -> None:
        begun.set()
        worker = Worker(folder)
        with suppress(TrainingStopped):
            while True:
                worker.check()

    stopped, _ = run(1)
    stopped._tell = lambda *_: stopped.end() if begun.is_set() else None
    with pytest.raises(JobStopped):
        work(data, stopped, waits)
    assert Registry(data / FOLDER).types() == []
    assert work(data, run(1)[0])["promoted"]
