"""``twinfold jobs …``: runs that take long, and following one. No logic of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cluster.terminal import AsJson, Data, ListsAlone, bar, err, moment, print_rows, say, settings_of
from training.errors import JobFailedError, JobNotFoundError

if TYPE_CHECKING:
    from serve.client import Client
    from serve.schemas.jobs import JobItem
    from training.jobs import Job

_AWAY_FOR_S: Final = 120.0

JobId = Annotated[str, typer.Argument(help="Id of the job, as `twinfold jobs` has it.")]


app = typer.Typer(
    name="jobs", cls=ListsAlone, help="Runs that take long, such as imports: list, show, follow, cancel."
)


@app.command(name="list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """List the jobs of a data folder, the newest first; needs no running platform."""
    from training.jobs import FOLDER, load

    folder = settings_of({"data": data}).data / FOLDER
    found = sorted(load(folder), key=lambda job: -job.number)
    print_rows([_row(job) for job in found], as_json)


@app.command()
def show(job: JobId, data: Data = None, as_json: AsJson = False) -> None:
    """Show what was asked for and what came of it; needs no running platform."""
    from dataclasses import asdict

    from training.jobs import FOLDER, load

    for each in load(settings_of({"data": data}).data / FOLDER):
        if each.id == job:
            lines = [f"{name:<8} {value}" for name, value in _row(each).items() if value not in (None, "")]
            lines += [f"{name:<8} {value}" for name, value in {**each.request, **(each.result or {})}.items()]
            say(asdict(each), as_json, "\n".join(lines))
            return
    raise JobNotFoundError(job)


@app.command()
def follow(job: JobId, data: Data = None, as_json: AsJson = False) -> None:
    """Follow a job of the platform that runs on this data folder until it has ended."""
    with connected(settings_of({"data": data}).data) as client:
        found = followed(client, job)
    say(found.model_dump(), as_json, f"{found.id} is done")


@app.command()
def cancel(job: JobId, data: Data = None, as_json: AsJson = False) -> None:
    """End a job; what it has done so far stays done."""
    with connected(settings_of({"data": data}).data) as client:
        found = client.jobs.cancel(job)
    text = f"{found.id} ends" if found.cancelling else f"{found.id} is {found.state}"
    say(found.model_dump(), as_json, text)


@contextmanager
def connected(data: Path) -> Iterator["Client"]:
    """A client of the platform that runs on a data folder of this machine; NotRunningError if none does."""
    from cluster.bringup import NotRunningError, running
    from serve.client import Client

    if running(data) is None:
        raise NotRunningError(str(data))
    with Client.local(data, patience_s=_AWAY_FOR_S) as client:
        yield client


def followed(client: "Client", job_id: str) -> "JobItem":
    """Show how far a job is until it is done, and give it then. Ctrl-C ends the watching, not the job.

    Raises
    ------
    JobFailedError : it failed or was cancelled.
    UnansweredError : the platform has not answered for two minutes.
    """
    try:
        with bar(job_id) as show_bar:
            for job in client.jobs.follow(job_id):
                show_bar(job.progress, job.message or job.state)
    except KeyboardInterrupt:
        err.print(f"{job_id} goes on; `twinfold jobs follow {job_id}`, `twinfold jobs cancel {job_id}`")
        raise
    if job.state != "done":
        raise JobFailedError(job.id, job.state, job.message)
    return job


def _row(job: "Job") -> dict[str, Any]:
    progress = "" if job.progress is None else f"{job.progress:.0%}"
    return {
        "job": job.id,
        "state": "ending" if job.cancelling else job.state,
        "progress": progress,
        "said": job.message,
        "by": job.by,
        "created": moment(job.created_us),
        "ended": None if job.ended_us is None else moment(job.ended_us),
    }
