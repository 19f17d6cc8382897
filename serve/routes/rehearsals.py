"""Changed rules over the last days, before they are activated: from some devices while one waits, from all as a job."""

from typing import Annotated, Any

from fastapi import Query, Request, Response

from serve.context import Context, InContext, User
from serve.errors import RangeError
from serve.gate import guarded
from serve.live import View
from serve.present import job_item, reply
from serve.routes.types import BODY, REFUSALS, Name, text_of, with_rules
from serve.schemas.base import Problem
from serve.schemas.jobs import JobItem
from serve.schemas.rehearsals import Rehearsal
from training import comparison, rehearsal_jobs
from training.jobs import Job
from training.rehearsal import MOST, Question
from twins.clock import DAY_US

router = guarded(prefix="/api/types/{name}/rules", tags=["device types"])

_REFUSALS: dict[int | str, dict[str, Any]] = {**REFUSALS, 410: {"model": Problem}}

Days = Annotated[float, Query(ge=0.1, le=30, description="how far back, from now")]
Seed = Annotated[
    int, Query(ge=0, le=2**31 - 1, description="which devices are drawn; the same seed, the same ones")
]
Devices = Annotated[
    int | None, Query(ge=1, le=MOST, description="how many are run; none: as many as there is time for")
]


@router.post("/rehearse", response_model=Rehearsal, responses=_REFUSALS, openapi_extra=BODY)
async def rehearse(
    context: InContext,
    name: Name,
    request: Request,
    days: Days = 7.0,
    devices: Devices = None,
    seed: Seed = 0,
) -> Response:
    """Which alerts rules would have raised, and which not, had they been in force: some devices over the last days.

    It takes seconds. Where more was asked for than can be run so soon, the window begins later, and the answer says so.
    """
    text, view = await text_of(request), await context.view()
    return reply(
        await context.rebuild(_sampled, context, name, text, days, ids_of_type(view, name), seed, devices)
    )


@router.post("/rehearsals", response_model=JobItem, responses=_REFUSALS, openapi_extra=BODY, status_code=202)
async def begin(
    context: InContext, by: User, name: Name, request: Request, days: Days = 7.0, seed: Seed = 0
) -> Response:
    """The same with all devices, as a job; its result is what the other gives."""
    text = await text_of(request)
    return reply(job_item(await context.call(_begun, context, name, text, days, seed, by)), 202)


def _sampled(
    context: Context, name: str, text: str, days: float, ids: list[str], seed: int, devices: int | None
) -> dict[str, Any]:
    question = _question(context, name, text, days)
    if not ids:
        raise RangeError(f"there are no devices of type {name!r}", "rehearse rules of a type that has some")
    return comparison.sampled(context.history.past(), question, ids, seed, devices)


def _begun(context: Context, name: str, text: str, days: float, seed: int, by: str) -> Job:
    request = rehearsal_jobs.request(_question(context, name, text, days), seed)
    return context.jobs.submit(rehearsal_jobs.KIND, request, by)


def _question(context: Context, name: str, text: str, days: float) -> Question:
    """What is asked; raises what stands against putting the rules in force."""
    before, after = with_rules(context, name, text)
    context.catalogue.check(after)
    end_us = context.fleet.clock.now_us()
    return Question(before, after, end_us - round(days * DAY_US), end_us)


def ids_of_type(view: View, name: str) -> list[str]:
    """The devices of a type that a view shows."""
    tables = [generation.tables.get(name) for generation in view.generations.values()]
    return [each for table in tables if table is not None for each in table["device_id"].to_pylist()]
