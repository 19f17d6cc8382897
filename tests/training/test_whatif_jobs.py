"""An experiment as a job: it tells how far it is, ends at once, goes on where it was, and says why it failed."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.sealed import encrypt, holds
from tests.twins.whatif.forked import SimulatedFleet, pumps
from training import whatif_jobs
from training.experiments import FOLDER, experiment_in, taken_up
from training.jobs import Job, Jobs
from twins.whatif.errors import RunFolderError
from twins.whatif.estimation import DamageEstimate
from twins.whatif.experiments import Experiment, Local, Progress
from twins.whatif.forks import Fork
from twins.whatif.presence import Estimated
from twins.whatif.results import RunFolder
from twins.whatif.scenariofiles import to_yaml
from twins.whatif.scenarios import Arm, Policy, Scenario

SCENARIO = Scenario(
    "two-ways",
    (Arm("wait"), Arm("look", policy=Policy("threshold", when="health < 80", review_h=1))),
    horizon_h=6.0, bucket_h=3.0, step_s=300.0, replications=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def forked() -> Fork:
    return SimulatedFleet(pumps(), count=2).fork


class OneFork:
    """A lab that always forks the same, and counts how often."""

    def __init__(self, forked: Fork) -> None:
        self.forked = forked
        self.times = 0

    def experiment(self, scenario: Scenario) -> Experiment:
        self.times += 1
        return Experiment(scenario, self.forked, manifest={"models": {}})


class Slow(Local):
    """Runs replications one after the other, with a pause before each; ``fail`` after some."""

    def __init__(self, pause_s: float = 0.0) -> None:
        self._pause_s = pause_s

    def run(self, plan: Any, tasks: Any, check: Callable[[], None]) -> Any:
        for found in super().run(plan, tasks, check):
            until = time.monotonic() + self._pause_s
            while time.monotonic() < until:
                check()
                time.sleep(0.01)  # as a replication takes its time
            yield found


def jobs(data: Path, lab: OneFork, pause_s: float = 0.0) -> Jobs:
    def work(run: Any) -> Any:
        return whatif_jobs.work(data, lambda check: lab, lambda: Slow(pause_s), run)

    return Jobs(data / "jobs", {whatif_jobs.KIND: work})


def followed(running: Jobs, job: Job, done: Callable[[Job], bool]) -> list[Job]:
    seen = [job]
    while not done(seen[-1]):
        seen.append(running.follow(job.id, seen[-1].version, 30.0))
        assert len(seen) < 100
    return seen


def test_a_job_runs_all_replications_and_says_how_far_it_is(forked: Fork, tmp_path: Path) -> None:
    running = jobs(tmp_path, OneFork(forked))
    job = running.submit("whatif", whatif_jobs.request(SCENARIO, to_yaml(SCENARIO)), "kari")
    ended = followed(running, job, lambda each: each.has_ended)[-1]
    running.stop()
    assert (ended.state, ended.progress) == ("done", 1.0), ended.message
    assert ended.result == {"replications": 3, "wanted": 3}
    folder = RunFolder(tmp_path / FOLDER / job.id)
    assert folder.is_ended
    assert folder.manifest()["by"] == "kari"
    whole = Experiment(SCENARIO, forked).run()
    assert dict(folder.results().tables) == dict(whole.tables)


def test_a_job_that_is_cancelled_ends_at_once_and_keeps_what_it_did(forked: Fork, tmp_path: Path) -> None:
    running = jobs(tmp_path, OneFork(forked), pause_s=60.0)
    job = running.submit("whatif", whatif_jobs.request(SCENARIO, to_yaml(SCENARIO)), "kari")
    followed(running, job, lambda each: each.state == "running" and each.progress is not None)
    began = time.monotonic()
    running.cancel(job.id)
    ended = followed(running, job, lambda each: each.has_ended)[-1]
    assert ended.state == "cancelled"
    assert time.monotonic() - began < 30
    running.stop()


def test_a_job_that_was_cut_off_goes_on_where_it_was(forked: Fork, tmp_path: Path) -> None:
    lab = OneFork(forked)
    first = jobs(tmp_path, lab, pause_s=0.3)
    job = first.submit("whatif", whatif_jobs.request(SCENARIO, to_yaml(SCENARIO)), "kari")
    followed(first, job, lambda each: (each.progress or 0.0) > 0.3)
    first.stop()
    out = RunFolder(tmp_path / FOLDER / job.id)
    done = len(out.done())
    assert 0 < done < 6
    again = jobs(tmp_path, lab)
    ended = followed(again, again.get(job.id), lambda each: each.has_ended)[-1]
    again.stop()
    assert ended.state == "done", ended.message
    assert lab.times == 1
    assert dict(out.results().tables) == dict(Experiment(SCENARIO, forked).run().tables)


def test_a_job_that_fails_says_what_and_what_next(forked: Fork, tmp_path: Path) -> None:
    (tmp_path / FOLDER / "whatif-1").mkdir(parents=True)
    (tmp_path / FOLDER / "whatif-1" / "thesis.txt").write_text("")
    running = jobs(tmp_path, OneFork(forked))
    job = running.submit("whatif", whatif_jobs.request(SCENARIO, to_yaml(SCENARIO)), "kari")
    ended = followed(running, job, lambda each: each.has_ended)[-1]
    running.stop()
    assert (ended.state, ended.code) == ("failed", "whatif.folder")
    assert "choose another folder" in ended.message


def test_what_was_begun_is_taken_up_with_the_twins_of_then(forked: Fork, tmp_path: Path) -> None:
    lab, out = OneFork(forked), tmp_path / "out"
    experiment_in(out, SCENARIO, lambda: lab, tmp_path, {}).run(out)
    found = experiment_in(out, SCENARIO, lambda: lab, tmp_path, {})
    assert lab.times == 1
    assert (
        found.rerun("look", 1).tables["runs"]
        == taken_up(RunFolder(out), tmp_path).rerun("look", 1).tables["runs"]
    )
    with pytest.raises(RunFolderError, match="another scenario"):
        experiment_in(out, replace(SCENARIO, seed=9), lambda: lab, tmp_path, {})


def test_a_folder_of_an_experiment_that_never_began_is_used(forked: Fork, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "fork.bin.partial").write_bytes(b"half")
    assert Experiment(replace(SCENARIO, replications=1), forked).run(out).replications == 1


def test_in_an_encrypted_data_folder_everything_is_sealed(
    forked: Fork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    encrypt(data, monkeypatch)
    lab, out = OneFork(forked), data / FOLDER / "whatif-1"

    def stop(now: Progress) -> None:
        if now.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment_in(out, SCENARIO, lambda: lab, data, {}).run(out, progress=stop)
    for needle in (b"PAR1", b"two-ways", b"oslo", b"scenario_hash"):
        assert holds(data, needle) == []
    found = experiment_in(out, SCENARIO, lambda: lab, data, {}).run(out)
    assert lab.times == 1
    whole = Experiment(SCENARIO, forked).run()
    assert dict(found.tables) == dict(whole.tables)
    assert holds(data, b"PAR1") == []
    RunFolder(out).copy(tmp_path / "plain")
    assert dict(RunFolder(tmp_path / "plain").results().tables) == dict(whole.tables)
    assert "runs.parquet" in holds(tmp_path / "plain", b"PAR1")


def test_estimates_are_kept_as_they_are() -> None:
    draws = np.random.default_rng(1)
    columns = [draws.normal(size=(3, k)).astype(np.float32) for k, _ in enumerate(DamageEstimate._fields)]
    made = DamageEstimate(*columns)._replace(reason=np.array([0, 1, 2], np.int8))
    back = Estimated.from_block(Estimated({"pump": made}).block()).estimates["pump"]
    for was, now in zip(made, back, strict=True):
        assert was.dtype == now.dtype
        np.testing.assert_array_equal(was, now)
