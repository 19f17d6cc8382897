"""The what-if lab: scenarios to copy and to check, experiments and what they came to."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import HTTPException, Query, Request, Response
from fastapi import Path as InPath
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from serve.context import Context, InContext, User, Who
from serve.errors import BodyError
from serve.gate import guarded
from serve.keyset import Key
from serve.live import View
from serve.present import reply
from serve.routes.types import YAML
from serve.routes.words import Paged
from serve.row_pages import lines_page
from serve.schemas.base import Problem
from serve.schemas.whatif import (
    ExperimentDetail,
    ExperimentFans,
    ExperimentItem,
    ExperimentList,
    ExperimentResults,
    NewRerun,
    Rerun,
    ScenarioCheck,
    ScenarioTemplates,
)
from serve.whatif import SOURCE, checked, taken, templates_to_copy
from training import whatif_jobs
from training.experiments import refuse_problems
from twins.whatif import scenariofiles
from twins.whatif.errors import ScenarioError
from twins.whatif.exporting import Format

router = guarded(prefix="/api/whatif", tags=["what-if"])

MOST_TEXT: Final = 256 << 10
"""Bytes of a scenario."""

_KINDS: Final = (YAML, "application/x-yaml", "text/yaml", "text/plain", "application/json")
_EXAMPLE: Final = """\
name: pump-maintenance
base: {devices: "type = 'centrifugal-pump'"}
arms:
  - name: run-to-failure
  - {name: by-condition, policy: {kind: threshold, when: "health < 60"}}
"""
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            YAML: {"schema": {"type": "string"}, "example": _EXAMPLE},
            "text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE},
            "application/json": {
                "schema": {"type": "object"},
                "example": {"name": "pump-maintenance", "arms": [{"name": "run-to-failure"}]},
            },
        },
    }
}
_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Problem} for status in (400, 401, 403, 404, 409, 415, 422, 429, 503)
}
_MEDIA: Final = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv", "json": "application/json"}
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    **_REFUSALS,
    200: {
        "content": {
            _MEDIA["parquet"]: {"schema": {"type": "string", "format": "binary"}},
            _MEDIA["csv"]: {"schema": {"type": "string"}},
            _MEDIA["json"]: {
                "schema": {"type": "array", "items": {"type": "object"}},
                "example": [{"arm": "run-to-failure", "replication": 0, "metric": "cost", "value": 8400.0}],
            },
        }
    },
}

Experiment = Annotated[str, InPath(max_length=100)]
Table = Literal["buckets", "runs", "work", "events", "devices", "metrics"]


@router.get("/templates", response_model=ScenarioTemplates)
async def templates(context: InContext) -> Response:
    """Scenarios to copy, with comments that say what to change."""
    return reply({"items": await context.call(templates_to_copy)})


@router.post(
    "/check", response_model=ScenarioCheck, responses=_REFUSALS, openapi_extra=_BODY, status_code=200
)
async def check(context: InContext, who: Who, request: Request) -> Response:
    """Whether a scenario can be run: every problem with its line and remedy, and what it takes."""
    text, view = await _text(request), await context.view()
    return reply(await context.call(_checked, context, view, text, who.is_local))


@router.get("/experiments", response_model=ExperimentList, responses=_REFUSALS)
async def experiments(context: InContext, spot: Paged) -> Response:
    """All that are there, the newest first."""
    found = await context.call(context.experiments.numbers)
    keyset = spot.of("experiments", (Key("number", int, descending=True),))
    page = lines_page(found, keyset, lambda number: {"number": number})
    return reply(await context.call(page.shown, context.experiments.numbered))


@router.post(
    "/experiments", response_model=ExperimentItem, responses=_REFUSALS, openapi_extra=_BODY, status_code=202
)
async def begin(context: InContext, by: User, who: Who, request: Request) -> Response:
    """Begin an experiment, as a job; what cannot be run is refused with everything that is wrong."""
    text, view = await _text(request), await context.view()
    return reply(await context.call(_begun, context, view, text, who.is_local, by), 202)


@router.get("/experiments/{experiment}", response_model=ExperimentDetail, responses=_REFUSALS)
async def one(context: InContext, experiment: Experiment) -> Response:
    """One, with its scenario, what it was run with, and how to cite it."""
    return reply(await context.call(context.experiments.detail, experiment))


@router.get("/experiments/{experiment}/results", response_model=ExperimentResults, responses=_REFUSALS)
async def results(context: InContext, experiment: Experiment) -> Response:
    """Every metric of every arm with its interval, and how it differs from the reference arm; so far, while it runs."""
    return reply(await context.rebuild(context.experiments.results, experiment))


@router.get("/experiments/{experiment}/fans", response_model=ExperimentFans, responses=_REFUSALS)
async def fans(
    context: InContext,
    experiment: Experiment,
    metric: Annotated[str, Query(max_length=100)],
    group: Annotated[
        str | None, Query(max_length=256, description="a site or type; left out: all together")
    ] = None,
) -> Response:
    """Where a metric goes over time in every arm: median, ranges and some single futures."""
    return reply(await context.rebuild(context.experiments.fans, experiment, metric, group))


@router.get("/experiments/{experiment}/tables/{table}", response_class=Response, responses=_FILE)
async def table(
    context: InContext,
    experiment: Experiment,
    table: Table,
    form: Annotated[Format, Query(alias="format")] = "parquet",
) -> Response:
    """A table of results as a file."""
    path, is_temporary = await context.rebuild(context.experiments.table, experiment, table, form)
    after = BackgroundTask(path.unlink, missing_ok=True) if is_temporary else None
    return _file(path, f"{experiment}-{table}.{form}", form, after)


@router.post("/experiments/{experiment}/cancel", response_model=ExperimentItem, responses=_REFUSALS)
async def cancel(context: InContext, experiment: Experiment) -> Response:
    """End one at once; what was done so far stays."""

    def end() -> dict[str, Any]:
        context.experiments.item(experiment)
        context.jobs.cancel(experiment)
        return context.experiments.item(experiment)

    return reply(await context.call(end))


@router.post("/experiments/{experiment}/reruns", response_model=Rerun, responses=_REFUSALS)
async def rerun(context: InContext, experiment: Experiment, body: NewRerun) -> Response:
    """Every step of some devices in one replication of an arm, run again to the same bits; it may take a minute."""
    asked = (experiment, body.arm, body.replication, body.device_ids)
    return reply(await context.rebuild(context.experiments.rerun, *asked))


@router.delete("/experiments/{experiment}", status_code=204, responses=_REFUSALS)
async def delete(context: InContext, experiment: Experiment) -> Response:
    """Delete one that has ended, with all that it came to."""
    await context.call(context.experiments.delete, experiment)
    return Response(status_code=204)


async def _text(request: Request) -> str:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _KINDS:
        raise HTTPException(415, f"a body of type {kind[:60]!r}; send {YAML}, text/plain or application/json")
    body = await request.body()
    if len(body) > MOST_TEXT:
        raise BodyError(f"the scenario has {len(body):,} bytes", f"send at most {MOST_TEXT:,}")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise BodyError("it is not UTF-8", "send it as UTF-8") from None


def _checked(context: Context, view: View, text: str, is_local: bool) -> dict[str, Any]:
    types = context.fleet.types
    try:
        found = checked(text, types, view, context.models, is_local=is_local)
    except ScenarioError as error:
        told = ((error.line, error.problem, error.remedy), *error.more)
        problems = [{"line": line, "problem": said, "remedy": remedy} for line, said, remedy in told]
        return {"scenario": None, "problems": problems, "estimate": None}
    return {
        "scenario": scenariofiles.to_document(found.read.scenario),
        "problems": [
            {"line": each.line, "problem": each.problem, "remedy": each.remedy} for each in found.problems
        ],
        "estimate": taken(found, types),
    }


def _begun(context: Context, view: View, text: str, is_local: bool, by: str) -> dict[str, Any]:
    found = checked(text, context.fleet.types, view, context.models, is_local=is_local)
    refuse_problems(found.problems, SOURCE)
    job = context.jobs.submit(whatif_jobs.KIND, whatif_jobs.request(found.read.scenario, text), by)
    return context.experiments.item(job.id)


def _file(path: Path, name: str, form: Format, after: BackgroundTask | None) -> Response:
    return FileResponse(path, media_type=_MEDIA[form], filename=name, background=after)
