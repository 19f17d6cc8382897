"""Runs that take long: those that there are, following one to its end, and imports, which are such runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from serve.client.connection import Connection, in_path
from serve.schemas.jobs import JobItem, JobList, NewImport


class Jobs:
    """What can be asked about jobs."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    def all(self) -> Iterator[JobItem]:
        """All that are remembered, the newest first."""
        for page in self._ask.pages(JobList, "/api/jobs", {"limit": 1_000}):
            yield from page.items

    def one(self, job_id: str, after: int | None = None) -> JobItem:
        """A job; with ``after``, a version that is known, a newer one is waited for, up to 5 s."""
        return self._ask.get(JobItem, f"/api/jobs/{in_path(job_id)}", {"after": after})

    def follow(self, job_id: str) -> Iterator[JobItem]:
        """A job as it is, then each time that it has changed; the last one has ended."""
        job = self.one(job_id)
        yield job
        while job.state in ("queued", "running"):
            known, job = job.version, self.one(job_id, after=job.version)
            if job.version != known:
                yield job

    def cancel(self, job_id: str) -> JobItem:
        """End a job; what it has done so far stays."""
        return self._ask.send(JobItem, "POST", f"/api/jobs/{in_path(job_id)}/cancel")

    def begin_import(self, mapping: Path, files: Sequence[Path], live: bool = False) -> JobItem:
        """Take files of the platform's own machine in; needs its local token."""
        paths = [str(file.resolve()) for file in files]
        body = NewImport(mapping=str(mapping.resolve()), files=paths, live=live)
        return self._ask.send(JobItem, "POST", "/api/imports", body)
