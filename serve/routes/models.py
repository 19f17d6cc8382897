"""Versions of trained models: what there is, which is better, and putting one in force."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Query, Response

from serve.context import Context, InContext, User
from serve.errors import RangeError
from serve.gate import guarded
from serve.keyset import Key
from serve.present import iso, job_item, reply
from serve.routes.rehearsals import Days, Devices, Seed, ids_of_type
from serve.routes.types import InPathNumber, Name, Number
from serve.routes.words import Paged
from serve.row_pages import lines_page
from serve.schemas.base import Problem
from serve.schemas.jobs import JobItem
from serve.schemas.models import (
    ModelChanges,
    ModelComparison,
    ModelDetail,
    ModelDrift,
    ModelItem,
    ModelList,
    ModelReason,
    ModelRecord,
    NewTraining,
    PromotionReport,
)
from training import promotion, promotion_jobs, track_record, training_jobs
from training.drift import read as read_drift
from training.jobs import Job
from training.promotion import Candidacy
from training.registry import Change, ModelVersion, Period, verdict
from twins.clock import DAY_US
from twins.errors import DeviceTypeNotFoundError

router = guarded(prefix="/api/models", tags=["models"])

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 401, 403, 404, 409, 422, 429, 500, 503)
}
_REPORT_REFUSALS: dict[int | str, dict[str, Any]] = {**_REFUSALS, 410: {"model": Problem}}
_ORDER = (Key("type", str), Key("version", int, descending=True))


@router.get("", response_model=ModelList, responses=_REFUSALS)
async def models(
    context: InContext,
    spot: Paged,
    name: Annotated[
        str | None, Query(alias="type", max_length=200, description="only those of this device type")
    ] = None,
) -> Response:
    """Every version of every type's model, by type, the newest first."""
    found = await context.call(_all, context, name)
    page = lines_page(found, spot.of(repr(("models", name)), _ORDER), _key)
    return reply(page.shown(_item))


@router.get("/{name}/compare", response_model=ModelComparison, responses=_REFUSALS)
async def compare(
    context: InContext,
    name: Name,
    b: Annotated[Number, Query(description="the version that is to be better")],
    a: Annotated[
        Number | None,
        Query(
            description="than this one; left out: than the one in force or, where none is, than one forecast for all"
        ),
    ] = None,
) -> Response:
    """Figures of two versions side by side, and whether one should take the other's place."""
    return reply(await context.call(_compare, context, name, a, b))


@router.get("/{name}/changes", response_model=ModelChanges, responses=_REFUSALS)
async def changes(context: InContext, name: Name) -> Response:
    """Which versions were put in force, when, by whom and why, the newest first."""
    found = await context.call(context.models.changes, name)
    return reply({"changes": [_change(each) for each in found]})


@router.get("/{name}/drift", response_model=ModelDrift, responses=_REFUSALS)
async def drift(context: InContext, name: Name) -> Response:
    """Whether the version in force still fits: of how many devices it cannot speak, and how far its forecasts have moved."""
    return reply(await context.call(_drift, context, name))


@router.get("/{name}/record", response_model=ModelRecord, responses=_REFUSALS)
async def record(
    context: InContext,
    name: Name,
    days: Annotated[float, Query(ge=1, le=400, description="how far back, from now")] = 90.0,
) -> Response:
    """What forecasts that were told were worth against what then happened, by version."""
    return reply(await context.rebuild(_recorded, context, name, days))


@router.get("/{name}/{version}", response_model=ModelDetail, responses=_REFUSALS)
async def one(context: InContext, name: Name, version: InPathNumber) -> Response:
    """One version: what it was trained on, and how well it did."""
    return reply(await context.call(_one, context, name, version))


@router.post("/{name}/{version}/promote", response_model=ModelItem, responses=_REFUSALS)
async def promote(
    context: InContext, by: User, name: Name, version: InPathNumber, body: ModelReason
) -> Response:
    """Put a version in force, an older one too. One that is in force stays so."""
    return reply(_item(await context.call(context.models.promote, name, version, by, body.reason)))


@router.post("/{name}/{version}/report", response_model=PromotionReport, responses=_REPORT_REFUSALS)
async def report(
    context: InContext,
    name: Name,
    version: InPathNumber,
    days: Days = 7.0,
    devices: Devices = None,
    seed: Seed = 0,
) -> Response:
    """Which alerts would have appeared, vanished or moved with this version in force: some devices over the last days.

    It takes seconds. Where more was asked for than can be run so soon, the window begins later, and the answer says so.
    """
    view = await context.view()
    ids = await context.ask(ids_of_type, view, name)
    return reply(await context.rebuild(_reported, context, name, version, days, ids, seed, devices))


@router.post("/{name}/{version}/reports", response_model=JobItem, responses=_REPORT_REFUSALS, status_code=202)
async def begin_report(
    context: InContext, by: User, name: Name, version: InPathNumber, days: Days = 7.0, seed: Seed = 0
) -> Response:
    """The same with all devices, as a job; its result is what the other gives."""
    return reply(job_item(await context.call(_begun, context, name, version, days, seed, by)), 202)


@router.post("/{name}/rollback", response_model=ModelItem, responses=_REFUSALS)
async def rollback(context: InContext, by: User, name: Name, body: ModelReason) -> Response:
    """Put the version in force again that was before the present one; once more goes further back."""
    return reply(_item(await context.call(context.models.rollback, name, by, body.reason)))


@router.post("/{name}/train", response_model=JobItem, responses=_REFUSALS, status_code=202)
async def train(context: InContext, by: User, name: Name, body: NewTraining) -> Response:
    """Learn from the failures in history what a twin looks like before one, as a job: its result is a version.

    Where that is better than the version in force and no worse calibrated it takes its place, if that is wanted.
    """
    return reply(job_item(await context.call(_trained, context, name, body, by)), 202)


# -- what they do, in a thread -------------------------------------------------------------------------------------


def _all(context: Context, name: str | None) -> Sequence[ModelVersion]:
    names = context.models.types() if name is None else [name]
    return [each for kind in names for each in context.models.versions(kind)]


def _one(context: Context, name: str, version: int) -> dict[str, Any]:
    found = context.models.get(name, version)
    manifest = found.manifest
    return {
        **_item(found),
        "type_version": manifest.type_version,
        "trained_until": iso(manifest.trained_until_us),
        "data": manifest.data,
        "features": manifest.features,
        "failure_modes": manifest.failure_modes,
        "parameters": manifest.parameters,
        "calibration": {"reliability": {}, "coverage": [], "forecast": [], **manifest.calibration},
        "sha256": found.sha256,
    }


def _drift(context: Context, name: str) -> dict[str, Any]:
    champion, found = context.models.champion(name), read_drift(context.models.folder, name)
    if champion is None or found is None or found.model != champion.version:
        return {
            "type": name, "version": None, "since": None, "at": None, "devices": 0, "unlike": 0, "index": None,
            "limit": None, "reasons": [], "bins": [],
        }  # fmt: skip
    bounds = [*found.edges, None]
    return {
        "type": name,
        "version": found.model,
        "since": iso(found.since_us) if found.first else None,
        "at": iso(found.at_us),
        "devices": found.devices,
        "unlike": found.unlike,
        "index": found.index,
        "limit": None if found.index is None else found.limit,
        "reasons": found.reasons,
        "bins": [
            {"upto": upto, "first": first, "now": now}
            for upto, first, now in zip(bounds, found.first, found.now, strict=False)
        ],
    }


def _recorded(context: Context, name: str, days: float) -> dict[str, Any]:
    if name not in context.fleet.types:
        raise DeviceTypeNotFoundError(name, tuple(sorted(context.fleet.types)))
    end_us = context.fleet.clock.now_us()
    found = track_record.record(context.history, name, end_us - round(days * DAY_US), end_us)
    return {
        "type": name,
        "start": iso(found.start_us),
        "end": iso(found.end_us),
        "devices": found.devices,
        "of_devices": found.of_devices,
        "versions": [
            {**asdict(each), "first": iso(each.first_us), "last": iso(each.last_us)}
            for each in found.versions
        ],
    }


def _reported(
    context: Context, name: str, version: int, days: float, ids: list[str], seed: int, devices: int | None
) -> dict[str, Any]:
    candidacy = _candidacy(context, name, version, days)
    if not ids:
        raise RangeError(f"there are no devices of type {name!r}", "ask about a type that has some")
    return promotion.sampled(context.history.past(), context.models, candidacy, ids, seed, devices)


def _begun(context: Context, name: str, version: int, days: float, seed: int, by: str) -> Job:
    request = promotion_jobs.request(_candidacy(context, name, version, days), seed)
    return context.jobs.submit(promotion_jobs.KIND, request, by)


def _candidacy(context: Context, name: str, version: int, days: float) -> Candidacy:
    """Of a version that there is, against the one in force."""
    if name not in context.fleet.types:
        raise DeviceTypeNotFoundError(name, tuple(sorted(context.fleet.types)))
    context.models.get(name, version)
    champion, end_us = context.models.champion(name), context.fleet.clock.now_us()
    in_force = None if champion is None else champion.version
    return Candidacy(context.fleet.types[name], version, in_force, end_us - round(days * DAY_US), end_us)


def _trained(context: Context, name: str, body: NewTraining, by: str) -> Job:
    if name not in context.fleet.types:
        raise DeviceTypeNotFoundError(name, tuple(sorted(context.fleet.types)))
    request = training_jobs.request(name, with_age=body.with_age, seed=body.seed, promote=body.promote)
    return context.jobs.submit(training_jobs.KIND, request, by)


def _compare(context: Context, name: str, a: int | None, b: int) -> dict[str, Any]:
    challenger = context.models.get(name, b)
    champion = context.models.champion(name) if a is None else context.models.get(name, a)
    found = verdict(champion, challenger)
    return {
        "type": name,
        "champion": None if champion is None else champion.version,
        "challenger": b,
        **asdict(found),
        "period": None if found.period is None else _period(found.period),
    }


def _period(period: Period) -> dict[str, Any]:
    return {
        "since": iso(period.since_us),
        "until": iso(period.until_us),
        "horizon_h": period.horizon_h,
    }


# -- showing what is found -----------------------------------------------------------------------------------------


def _key(found: ModelVersion) -> dict[str, Any]:
    return {"type": found.manifest.device_type, "version": found.version}


def _item(found: ModelVersion) -> dict[str, Any]:
    manifest = found.manifest
    return {
        **_key(found),
        "role": found.role,
        "by": manifest.by,
        "created": iso(found.created_us),
        "failures": manifest.parameters.get("failures"),
        "metrics": manifest.metrics,
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "version": change.version,
        "former": change.former,
        "act": change.act,
        "by": change.by,
        "at": iso(change.at_us),
        "reason": change.reason,
    }
