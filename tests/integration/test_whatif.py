"""An experiment on a real Ray comes to the same bits as in one process, with one worker or two, and when one is killed."""

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import ray

from tests.integration.running import until
from tests.twins.whatif.forked import SimulatedFleet, pumps, with_wear
from twins.whatif.experiments import Experiment
from twins.whatif.ray_runner import RayRunner
from twins.whatif.results import Results, RunFolder
from twins.whatif.scenarios import Arm, Policy, Resources, Scenario

SCENARIO = Scenario(
    "two-ways",
    (Arm("wait"), Arm("look", policy=Policy("threshold", when="health < 80", review_h=1))),
    horizon_h=24.0, bucket_h=12.0, step_s=60.0, replications=4, seed=5,
    resources=Resources(crews=2, unplanned_delay_h=1.0), keep=("work", "events", "devices"),
)  # fmt: skip
WORKER = "ray::_run"

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return Experiment(SCENARIO, with_wear(SimulatedFleet(pumps(), count=2).fork, 0.8, 0.9999))


@pytest.fixture(scope="module")
def alone(experiment: Experiment) -> Results:
    return experiment.run()


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="tfw-", dir="/tmp") as folder:  # sockets need a short path
        ray.init(
            address="local", num_cpus=2, object_store_memory=200 << 20, include_dashboard=False,
            _node_ip_address="127.0.0.1", _temp_dir=folder, log_to_driver=False, logging_level="error",
            runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2])}},
        )  # fmt: skip
        yield
        ray.shutdown()


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_make_no_difference(experiment: Experiment, alone: Results, workers: int) -> None:
    found = experiment.run(runner=RayRunner(workers))
    assert dict(found.tables) == dict(alone.tables)


def test_a_worker_that_is_killed_makes_no_difference(
    experiment: Experiment, alone: Results, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill_one() -> None:
        def one_at_work() -> psutil.Process | None:
            for process in psutil.Process(os.getpid()).children(recursive=True):
                if (process.cmdline() or [""])[0].startswith(WORKER):
                    return process
            return None

        process = until(one_at_work)
        process.kill()
        killed.append(process.pid)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    found = experiment.run(tmp_path / "out", RayRunner(2))
    killer.join(60)
    assert killed
    assert dict(found.tables) == dict(alone.tables)


def test_what_is_stopped_ends_at_once_and_goes_on(
    experiment: Experiment, alone: Results, tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    done: list[int] = []

    def check() -> None:
        if done:
            raise StoppedError

    with pytest.raises(StoppedError):
        experiment.run(tmp_path / "out", RayRunner(1), lambda now: done.append(now.done), check)
    assert 0 < len(RunFolder(tmp_path / "out").done()) < 8
    found = experiment.run(tmp_path / "out", RayRunner(2))
    assert dict(found.tables) == dict(alone.tables)
