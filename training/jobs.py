"""Runs that take long: schedule, start, follow and cancel them. What a run does is a matter of its kind.

A job is what was asked for and how far it has come. It is kept in a file of its own, so that it outlives the process that
runs it: a job that was under way when that process ended is begun again, and a kind's work must bear being done twice. One
process runs the jobs of a folder, one of each kind at a time, oldest first.
"""

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from training.errors import JobEndedError, JobNotFoundError
from twins.clock import SECOND_US, Clock, WallClock
from twins.errors import FleetError

JobState = Literal["queued", "running", "done", "failed", "cancelled"]

ENDED: Final = ("done", "failed", "cancelled")

FOLDER: Final = "jobs"
"""Where a data folder has them."""

ACTOR: Final = "jobs"
"""What the actor is called that runs them, where Ray does."""

KEPT: Final = 500
"""Ended jobs that are remembered; the oldest are forgotten."""

ATTEMPTS: Final = 5
"""How often a job is begun that ends with the process that runs it: it may be what ends it."""

_WRITE_EVERY_S: Final = 1.0
_SUFFIX: Final = ".json"

_log = logging.getLogger("twinfold.jobs")


@dataclass(frozen=True, slots=True)
class Job:
    """One run.

    Attributes
    ----------
    id : its kind and number
    kind, request, by : what is to be done, with what, and who asked
    state : queued, running; and then done, failed or cancelled for good
    progress : 0 to 1; None where it cannot be told
    message : where it is, or why it ended
    result : what it found so far, as JSON values
    code : of the error that it failed with; empty otherwise
    created_us, started_us, ended_us : when; None: not yet
    attempts : how often it was begun
    cancelling : it was asked to end and has not yet
    version : rises with every change
    """

    id: str
    kind: str
    request: Mapping[str, Any]
    by: str
    state: JobState = "queued"
    progress: float | None = None
    message: str = ""
    result: Mapping[str, Any] | None = None
    code: str = ""
    created_us: int = 0
    started_us: int | None = None
    ended_us: int | None = None
    attempts: int = 0
    cancelling: bool = False
    version: int = 1

    @property
    def number(self) -> int:
        return int(self.id.rpartition("-")[2])

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED


class JobStopped(Exception):  # noqa: N818  (no error: the work was told to end)
    """Raised inside a job's work where it has been told to end; the work lets it pass."""


class Run:
    """A job as its work sees it."""

    def __init__(self, job: Job, tell: Callable[[float | None, str, Mapping[str, Any] | None], None]) -> None:
        self.job = job
        self._tell = tell
        self._end = threading.Event()

    def tell(
        self, progress: float | None, message: str = "", result: Mapping[str, Any] | None = None
    ) -> None:
        """Say how far it is.

        Raises
        ------
        JobStopped : the work is to end here.
        """
        self.check()
        self._tell(progress, message, result)

    def wait(self, seconds: float) -> None:
        """Let time pass; raises ``JobStopped`` as soon as the work is to end."""
        self._end.wait(seconds)
        self.check()

    def check(self) -> None:
        """Raises ``JobStopped`` if the work is to end."""
        if self._end.is_set():
            raise JobStopped

    def end(self) -> None:
        """Have the work end at its next word."""
        self._end.set()


Work = Callable[[Run], Mapping[str, Any]]
"""What a kind of job does; gives its result, as JSON values."""


class Runner(Protocol):
    """Who runs jobs, wherever that is; see ``Jobs`` for what each call does."""

    def submit(self, kind: str, request: Mapping[str, Any], by: str) -> Job: ...
    def list(self) -> "list[Job]": ...
    def get(self, job_id: str) -> Job: ...
    def follow(self, job_id: str, version: int, wait_s: float) -> Job: ...
    def cancel(self, job_id: str) -> Job: ...


class Jobs:
    """The jobs of a folder, and a thread for each kind that runs them. All methods may be called from any thread.

    Parameters
    ----------
    folder : where each job has its file
    works : what there is to do, by kind
    """

    def __init__(self, folder: Path, works: Mapping[str, Work], clock: Clock | None = None) -> None:
        self._folder = folder
        self._works = dict(works)
        self._clock = clock or WallClock()
        self._changed = threading.Condition()
        self._stopping = False
        self._runs: dict[str, Run] = {}
        self._written_us: dict[str, int] = {}
        self._jobs = {job.id: job for job in load(folder)}
        self._next = 1 + max((job.number for job in self._jobs.values()), default=0)
        with self._changed:
            for job in list(self._jobs.values()):
                if job.state == "running":
                    self._note(_begun_again(job, self._clock.now_us()))
        self._threads = [
            threading.Thread(target=self._work_off, args=(kind,), name=f"jobs {kind}", daemon=True)
            for kind in self._works
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, kind: str, request: Mapping[str, Any], by: str) -> Job:
        """Ask for a run; it is durable when this returns, and begins as soon as those before it have ended."""
        if kind not in self._works:
            raise ValueError(f"no kind of job is called {kind!r} (there are: {', '.join(self._works)})")
        with self._changed:
            job = Job(f"{kind}-{self._next}", kind, dict(request), by, created_us=self._clock.now_us())
            self._put(job)
            self._next += 1
            self._forget_old()
        return job

    def list(self) -> list[Job]:
        """All that are known, the newest first."""
        with self._changed:
            return sorted(self._jobs.values(), key=lambda job: -job.number)

    def get(self, job_id: str) -> Job:
        """One job; JobNotFoundError if there is none of this id."""
        with self._changed:
            return self._job(job_id)

    def follow(self, job_id: str, version: int, wait_s: float) -> Job:
        """The job once it has changed since ``version``, or after ``wait_s``, whichever comes first."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._job(job_id).version > version, wait_s)
            return self._job(job_id)

    def cancel(self, job_id: str) -> Job:
        """End a job. One that is running ends at its next step; what it has done so far stays done.

        Raises
        ------
        JobNotFoundError, JobEndedError : there is nothing to cancel.
        """
        with self._changed:
            job = self._job(job_id)
            if job.has_ended:
                raise JobEndedError(job.id, job.state)
            if job.state == "queued":
                self._put(
                    replace(
                        job, state="cancelled", message="cancelled before it began",
                        ended_us=self._clock.now_us(),
                    )
                )  # fmt: skip
            else:
                self._put(replace(job, cancelling=True))
                self._runs[job.id].end()
            return self._job(job_id)

    def stop(self, within_s: float = 30.0) -> None:
        """End. What is under way ends at its next step, and is begun again by whoever opens the folder next."""
        with self._changed:
            self._stopping = True
            for run in self._runs.values():
                run.end()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(within_s)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _work_off(self, kind: str) -> None:
        while (run := self._begin_next(kind)) is not None:
            try:
                result = self._works[kind](run)
            except JobStopped:
                self._ended(run.job.id, "cancelled", "cancelled; what was done so far stays")
            except FleetError as error:
                self._ended(run.job.id, "failed", str(error), code=error.code)
            except Exception as error:
                _log.exception("%s failed", run.job.id)
                self._ended(run.job.id, "failed", f"a fault in Twinfold: {error!r}", code="fleet.fault")
            else:
                self._ended(run.job.id, "done", "", result=result)

    def _begin_next(self, kind: str) -> Run | None:
        """Wait for the oldest job of a kind and begin it; None: it is time to end."""
        with self._changed:
            while not self._stopping:
                queued = [job for job in self._jobs.values() if job.kind == kind and job.state == "queued"]
                if queued:
                    first = min(queued, key=lambda job: job.number)
                    job = replace(
                        first, state="running", message="", started_us=self._clock.now_us(),
                        attempts=first.attempts + 1,
                    )  # fmt: skip
                    run = self._runs[job.id] = Run(job, partial(self._told, job.id))
                    self._note(job)
                    return run
                self._changed.wait()
        return None

    def _told(
        self, job_id: str, progress: float | None, message: str, result: Mapping[str, Any] | None
    ) -> None:
        with self._changed:
            job = self._jobs[job_id]
            told = replace(job, progress=progress, message=message, result=result or job.result)
            now_us = self._clock.now_us()
            on_disk = now_us - self._written_us.get(job_id, 0) >= _WRITE_EVERY_S * SECOND_US
            self._note(told, on_disk)

    def _ended(
        self, job_id: str, state: JobState, message: str, code: str = "", result: Mapping[str, Any] | None = None
    ) -> None:  # fmt: skip
        with self._changed:
            job = self._jobs[job_id]
            del self._runs[job_id]
            self._written_us.pop(job_id, None)
            if state == "cancelled" and not job.cancelling:  # this process ends, not the job
                self._note(replace(job, state="queued", message="", attempts=job.attempts - 1))
                return
            self._note(
                replace(
                    job, state=state, message=message or job.message, code=code, cancelling=False,
                    progress=1.0 if state == "done" else job.progress, result=result or job.result,
                    ended_us=self._clock.now_us(),
                )
            )  # fmt: skip

    def _put(self, job: Job) -> None:
        """Keep a changed job on disk, and tell those who follow it; raises OSError, and then nothing has changed."""
        job = replace(job, version=job.version + 1)
        _write(self._folder, job)
        self._written_us[job.id] = self._clock.now_us()
        self._show(job)

    def _note(self, job: Job, on_disk: bool = True) -> None:
        """The same for what has happened anyway: a full disk keeps no job from going on or from having ended."""
        try:
            if on_disk:
                self._put(job)
                return
        except OSError as error:
            _log.error("%s is %s, which could not be written down: %s", job.id, job.state, error)
        self._show(replace(job, version=job.version + 1))

    def _show(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._changed.notify_all()

    def _job(self, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise JobNotFoundError(job_id)
        return job

    def _forget_old(self) -> None:
        ended = sorted((job for job in self._jobs.values() if job.has_ended), key=lambda job: job.number)
        for job in ended[: max(0, len(ended) - KEPT)]:
            (self._folder / (job.id + _SUFFIX)).unlink(missing_ok=True)
            del self._jobs[job.id]
            self._written_us.pop(job.id, None)


def load(folder: Path) -> Iterator[Job]:
    """The jobs that a folder holds. A file that cannot be read is left out, and said."""
    for path in sorted(folder.glob("*" + _SUFFIX)) if folder.is_dir() else []:
        try:
            job = Job(**json.loads(path.read_text()))
            if job.id != path.stem or job.number < 0:
                raise ValueError(f"it is about {job.id!r}")
            yield job
        except (OSError, ValueError, TypeError) as error:
            _log.error("the job in %s cannot be read: %s", path, error)


def _begun_again(job: Job, now_us: int) -> Job:
    """A job that was under way when its process ended."""
    if job.cancelling:
        return replace(job, state="cancelled", message="cancelled", cancelling=False, ended_us=now_us)
    if job.attempts >= ATTEMPTS:
        problem = f"it was begun {job.attempts} times and each time the process that ran it ended"
        return replace(job, state="failed", message=problem, code="fleet.fault", ended_us=now_us)
    return replace(job, state="queued")


def _write(folder: Path, job: Job) -> None:
    """Keep a job on disk: whole or not at all, and there after a power cut."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (job.id + _SUFFIX)
    part = path.with_suffix(".part")
    with part.open("w") as file:
        json.dump(asdict(job), file)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    with _directory(folder) as descriptor:
        os.fsync(descriptor)


@contextmanager
def _directory(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
