import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from training import jobs as module
from training.errors import JobEndedError, JobNotFoundError, SourceFileError
from training.jobs import Job, Jobs, Run, load
from twins.clock import VirtualClock

PATIENCE_S = 30.0


class Steps:
    """Work that takes one step each time it is let go on, and three in all."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.begun = 0

    def __call__(self, run: Run) -> dict[str, Any]:
        self.begun += 1
        for step in range(3):
            run.tell(step / 3, f"step {step} of {run.job.request['what']}")
            while not self.go.acquire(timeout=0.02):
                run.check()
        return {"steps": 3}


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def open_jobs(tmp_path: Path) -> Iterator[Callable[..., Jobs]]:
    """Opens the jobs of one folder, again and again."""
    opened: list[Jobs] = []

    def open_(**works: Any) -> Jobs:
        opened.append(Jobs(tmp_path / "jobs", works, VirtualClock(1_000_000)))
        return opened[-1]

    yield open_
    for each in opened:
        each.stop()


def until(jobs: Jobs, job_id: str, holds: Callable[[Job], object]) -> Job:
    """The job once ``holds`` of it."""
    job = jobs.get(job_id)
    for _ in range(1000):
        if holds(job):
            return job
        job = jobs.follow(job_id, job.version, PATIENCE_S)
    raise AssertionError(f"it did not come about: {job}")


def test_a_job_is_followed_from_step_to_step_to_its_result(open_jobs: Any, steps: Steps) -> None:
    jobs = open_jobs(walk=steps)
    job = jobs.submit("walk", {"what": "the dog"}, "ann")
    assert (job.id, job.state, job.by) == ("walk-1", "queued", "ann")
    for step in range(3):
        seen = until(jobs, job.id, lambda job, step=step: job.message == f"step {step} of the dog")
        assert seen.state == "running"
        assert seen.progress == pytest.approx(step / 3)
        steps.go.release()
    ended = until(jobs, job.id, lambda job: job.has_ended)
    assert (ended.state, ended.progress, ended.result) == ("done", 1.0, {"steps": 3})
    assert (ended.created_us, ended.started_us, ended.ended_us) == (1_000_000,) * 3


def test_one_of_a_kind_runs_at_a_time_and_the_oldest_first(open_jobs: Any, steps: Steps) -> None:
    other = Steps()
    jobs = open_jobs(walk=steps, sing=other)
    first, second = jobs.submit("walk", {"what": "a"}, "ann"), jobs.submit("walk", {"what": "b"}, "ann")
    third = jobs.submit("sing", {"what": "c"}, "ann")
    until(jobs, first.id, lambda job: job.state == "running")
    until(jobs, third.id, lambda job: job.state == "running")
    assert jobs.get(second.id).state == "queued"
    for _ in range(3):
        steps.go.release()
    until(jobs, second.id, lambda job: job.state == "running")
    assert jobs.get(first.id).state == "done"
    assert [job.id for job in jobs.list()] == ["sing-3", "walk-2", "walk-1"]


def test_cancelling_ends_what_runs_and_what_waits(open_jobs: Any, steps: Steps) -> None:
    jobs = open_jobs(walk=steps)
    running, waiting = jobs.submit("walk", {"what": "a"}, "ann"), jobs.submit("walk", {"what": "b"}, "ann")
    until(jobs, running.id, lambda job: job.state == "running")
    assert jobs.cancel(waiting.id).state == "cancelled"
    assert jobs.cancel(running.id).cancelling
    assert until(jobs, running.id, lambda job: job.has_ended).state == "cancelled"
    assert steps.begun == 1
    for job_id in (running.id, waiting.id):
        with pytest.raises(JobEndedError, match="cancelled already"):
            jobs.cancel(job_id)
    with pytest.raises(JobNotFoundError, match="walk-9"):
        jobs.cancel("walk-9")


def test_what_fails_says_why_and_the_next_one_runs(open_jobs: Any) -> None:
    def work(run: Run) -> dict[str, Any]:
        match run.job.request["how"]:
            case "world":
                raise SourceFileError("a.csv", "it is cut off", "fetch it again")
            case "bug":
                raise ZeroDivisionError("oh")
        return {}

    jobs = open_jobs(try_=work)
    asked = [jobs.submit("try_", {"how": how}, "ann") for how in ("world", "bug", "well")]
    world, bug, well = (until(jobs, job.id, lambda job: job.has_ended) for job in asked)
    assert (world.state, world.code) == ("failed", "source_file.unreadable")
    assert world.message == "a.csv: it is cut off; fetch it again"
    assert (bug.state, bug.code) == ("failed", "fleet.fault")
    assert "ZeroDivisionError" in bug.message
    assert well.state == "done"


def test_a_job_of_a_process_that_ended_in_order_is_begun_again(open_jobs: Any, steps: Steps) -> None:
    jobs = open_jobs(walk=steps)
    job = jobs.submit("walk", {"what": "a"}, "ann")
    until(jobs, job.id, lambda job: job.state == "running")
    jobs.stop()
    for _ in range(3):
        steps.go.release()
    again = open_jobs(walk=steps)
    ended = until(again, job.id, lambda job: job.has_ended)
    assert (ended.state, ended.attempts) == ("done", 1)
    assert again.submit("walk", {"what": "b"}, "ann").id == "walk-2"


def crash(folder: Path, open_jobs: Any, steps: Steps, **changes: Any) -> Job:
    """Leave a folder as a process leaves it that was killed in the middle of a job."""
    jobs = open_jobs(walk=steps)
    job = jobs.submit("walk", {"what": "a"}, "ann")
    until(jobs, job.id, lambda job: job.state == "running")
    path = folder / "jobs" / f"{job.id}.json"
    left = {**json.loads(path.read_text()), **changes}
    jobs.stop()
    path.write_text(json.dumps(left))
    return jobs.get(job.id)


def test_a_job_of_a_process_that_was_killed_is_begun_again(
    tmp_path: Path, open_jobs: Any, steps: Steps
) -> None:
    job = crash(tmp_path, open_jobs, steps)
    again = open_jobs(walk=steps)
    assert until(again, job.id, lambda job: job.state == "running").attempts == 2
    for _ in range(3):
        steps.go.release()
    assert until(again, job.id, lambda job: job.has_ended).state == "done"


def test_a_job_that_ends_its_process_is_given_up(tmp_path: Path, open_jobs: Any, steps: Steps) -> None:
    job = crash(tmp_path, open_jobs, steps, attempts=module.ATTEMPTS)
    ended = open_jobs(walk=steps).get(job.id)
    assert (ended.state, ended.code) == ("failed", "fleet.fault")
    assert "5 times" in ended.message


def test_a_job_that_was_to_be_cancelled_when_its_process_ended_is(
    tmp_path: Path, open_jobs: Any, steps: Steps
) -> None:
    job = crash(tmp_path, open_jobs, steps, cancelling=True)
    assert open_jobs(walk=steps).get(job.id).state == "cancelled"


def test_a_file_that_is_damaged_costs_one_job(
    tmp_path: Path, open_jobs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = open_jobs(quick=lambda run: {})
    ids = [jobs.submit("quick", {}, "ann").id for _ in range(2)]
    for job_id in ids:
        until(jobs, job_id, lambda job: job.has_ended)
    (tmp_path / "jobs" / "quick-1.json").write_text('{"id": ')
    assert [job.id for job in load(tmp_path / "jobs")] == ["quick-2"]
    assert "quick-1.json cannot be read" in caplog.text


def test_only_so_many_ended_jobs_are_remembered(
    tmp_path: Path, open_jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    jobs = open_jobs(quick=lambda run: {})
    for _ in range(6):
        until(jobs, jobs.submit("quick", {}, "ann").id, lambda job: job.has_ended)
    assert len(jobs.list()) <= 4
    assert len(list((tmp_path / "jobs").glob("*.json"))) == len(jobs.list())
    assert jobs.list()[0].id == "quick-6"


def test_a_full_disk_refuses_new_jobs_and_ends_none(
    open_jobs: Any, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = open_jobs(walk=steps)
    job = jobs.submit("walk", {"what": "a"}, "ann")
    until(jobs, job.id, lambda job: job.state == "running")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    with pytest.raises(OSError, match="No space"):
        jobs.submit("walk", {"what": "b"}, "ann")
    for _ in range(3):
        steps.go.release()
    assert until(jobs, job.id, lambda job: job.has_ended).state == "done"
    assert [each.id for each in jobs.list()] == ["walk-1"]
