"""Runs that take long: those that there are, one of them, ending it; and imports, which are such runs."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import Query, Response

from serve.context import InContext, User
from serve.gate import guarded
from serve.keyset import Key
from serve.present import job_item, reply
from serve.routes.words import Paged
from serve.row_pages import lines_page
from serve.schemas.base import Problem
from serve.schemas.jobs import JobItem, JobList, NewImport
from training import import_jobs
from training.jobs import Job

router = guarded(prefix="/api", tags=["jobs"])

_WAIT_S = 5.0
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 401, 403, 404, 409, 422, 429, 503)
}


@router.get("/jobs", response_model=JobList, responses=_REFUSALS)
async def jobs(context: InContext, spot: Paged) -> Response:
    """Those that are remembered, the newest first."""
    found = await context.call(context.jobs.list)
    keyset = spot.of("jobs", (Key("number", int, descending=True),))
    return reply(lines_page(found, keyset, lambda job: {"number": job.number}).shown(job_item))


@router.get("/jobs/{job}", response_model=JobItem, responses=_REFUSALS)
async def one(
    context: InContext,
    job: str,
    after: Annotated[
        int | None,
        Query(ge=0, description="a `version` that is known: the answer waits up to 5 s for a newer one"),
    ] = None,
) -> Response:
    """How far a job is, or what it came to."""
    if after is None:
        return reply(job_item(await context.call(context.jobs.get, job)))
    return reply(job_item(await context.call(context.jobs.follow, job, after, _WAIT_S)))


@router.post("/jobs/{job}/cancel", response_model=JobItem, responses=_REFUSALS)
async def cancel(context: InContext, job: str) -> Response:
    """End a job; one that runs ends at its next step, and what it has done so far stays."""
    return reply(job_item(await context.call(context.jobs.cancel, job)))


@router.post("/imports", response_model=JobItem, status_code=202, responses=_REFUSALS)
async def begin_import(context: InContext, by: User, body: NewImport) -> Response:
    """Take files of the platform's own machine into history, through the twins, while the fleet goes on living."""

    def begin() -> Job:
        request = import_jobs.request(Path(body.mapping), [Path(file) for file in body.files], body.live)
        return context.jobs.submit(import_jobs.KIND, request, by)

    return reply(job_item(await context.call(begin)), 202)
