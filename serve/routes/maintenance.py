"""Maintenance: record what was done or found, read what was recorded, correct it."""

from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import AwareDatetime

from serve.access import Caller
from serve.context import CommandId, Context, InContext, User, Who
from serve.errors import RangeError
from serve.gate import guarded
from serve.maintenance import MaintenanceQuery, list_maintenance, read_maintenance, was_corrected_by
from serve.preconditions import Match, expected, revised
from serve.present import page_reply, reply
from serve.revisions import check_revision
from serve.routes.words import After, Before, Exactly, Filter, Limit, Offset, Several, known, several
from serve.schemas.base import Problem
from serve.schemas.devices import Done
from serve.schemas.maintenance import Correction, Maintenance, MaintenancePage, MaintenanceRecord
from serve.vocabulary import MAINTENANCE_KINDS as KINDS
from twins import commands as c
from twins.errors import DeviceNotFoundError

router = guarded(tags=["maintenance"])

_REFUSALS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem},
    409: {"model": Problem},
    412: {"model": Problem},
    428: {"model": Problem},
    429: {"model": Problem},
    503: {"model": Problem},
    507: {"model": Problem},
}
_UNREADABLE: dict[int | str, dict[str, Any]] = {400: {"model": Problem}, 404: {"model": Problem}}

Kinds = Annotated[list[str] | None, Query(max_length=20, description=f"of {', '.join(KINDS)}")]
Start = Annotated[AwareDatetime | None, Query(description="done at this time or later; ISO 8601 with zone")]
End = Annotated[AwareDatetime | None, Query(description="done before this time; ISO 8601 with zone")]
Sort = Annotated[str, Query(max_length=40, description="`at`, when it was done; `-` before it: newest first")]
Withdrawn = Annotated[bool, Query(description="also records that were withdrawn")]


@router.get("/api/maintenance", response_model=MaintenancePage, responses=_UNREADABLE)
async def maintenance(
    context: InContext,
    filter: Filter = "",  # noqa: A002
    device: Exactly = None,
    type: Several = None,  # noqa: A002
    site: Exactly = None,
    kind: Kinds = None,
    failure_mode: Exactly = None,
    start: Start = None,
    end: End = None,
    withdrawn: Withdrawn = False,
    sort: Sort = "-at",
    limit: Limit = 50,
    after: After = None,
    before: Before = None,
    offset: Offset = None,
) -> Response:
    """What was done to the fleet or found, as it stands after all corrections."""
    query = MaintenanceQuery(
        filter, tuple(device or ()), several(type), tuple(site or ()), known(kind, "kind", KINDS),
        tuple(failure_mode or ()), *_span(start, end), withdrawn, sort, limit, after, before, offset,
    )  # fmt: skip
    return await _listed(context, query)


@router.get(
    "/api/devices/{device_id:path}/maintenance", response_model=MaintenancePage, responses=_UNREADABLE
)
async def device_maintenance(
    context: InContext,
    device_id: str,
    filter: Filter = "",  # noqa: A002
    kind: Kinds = None,
    failure_mode: Exactly = None,
    start: Start = None,
    end: End = None,
    withdrawn: Withdrawn = False,
    sort: Sort = "-at",
    limit: Limit = 50,
    after: After = None,
    before: Before = None,
    offset: Offset = None,
) -> Response:
    """The same of one device."""
    if await context.call(context.fleet.find, device_id) is None:
        raise DeviceNotFoundError(device_id)
    query = MaintenanceQuery(
        filter, (device_id,), (), (), known(kind, "kind", KINDS), tuple(failure_mode or ()),
        *_span(start, end), withdrawn, sort, limit, after, before, offset,
    )  # fmt: skip
    return await _listed(context, query)


@router.post("/api/devices/{device_id:path}/maintenance", response_model=Done, responses=_REFUSALS)
async def maintain(
    context: InContext, who: Who, command_id: CommandId, device_id: str, body: Maintenance
) -> Response:
    """Record what was done to a device, or found; what it resets is up to the action."""
    command = recording(body, device_id, who, command_id)
    return reply({"cursor": context.cursor_at(await context.call(context.fleet.command, command))})


@router.get("/api/maintenance/{record}", response_model=MaintenanceRecord, responses=_UNREADABLE)
async def one(context: InContext, record: str) -> Response:
    """One record, and what corrected it."""
    found = await _read(context, record)
    return revised(found, found["corrections"])


@router.post("/api/maintenance/{record}/corrections", response_model=Done, responses=_REFUSALS)
async def correct(
    context: InContext,
    by: User,
    command_id: CommandId,
    record: str,
    body: Correction,
    if_match: Match = None,
) -> Response:
    """Say what a record should have said. It stays as it was, and so does what it did to the twin."""
    revision = expected(if_match)
    found = await _read(context, record)
    if not await context.call(was_corrected_by, context.history, record, command_id):
        check_revision("correct the record", record, found["corrections"], revision)
    command = c.CorrectMaintenance(
        command_id=command_id,
        by=by,
        device_id=found["device_id"],
        record=record,
        kind=body.kind,
        action=body.action,
        failure_mode=body.failure_mode,
        at_us=None if body.at is None else round(body.at.timestamp() * 1e6),
        note=body.note,
        reason=body.reason,
        withdrawn=body.withdrawn,
    )
    return reply({"cursor": context.cursor_at(await context.call(context.fleet.command, command))})


def recording(body: Maintenance, device_id: str, who: Caller, command_id: str) -> c.RecordMaintenance:
    """The command that ``body`` asks for."""
    return c.RecordMaintenance(
        command_id=command_id,
        by=who.name,
        device_id=device_id,
        kind=body.kind,
        action=body.action,
        failure_mode=body.failure_mode,
        at_us=None if body.at is None else round(body.at.timestamp() * 1e6),
        note=body.note,
    )


async def _listed(context: Context, query: MaintenanceQuery) -> Response:
    view = await context.view()
    page = await context.call(list_maintenance, context.history, context.fleet, view, query)
    return page_reply(view, page)


async def _read(context: Context, record: str) -> dict[str, Any]:
    view = await context.view()
    return await context.call(read_maintenance, context.history, context.fleet, view, record)


def _span(start: AwareDatetime | None, end: AwareDatetime | None) -> tuple[int | None, int | None]:
    start_us, end_us = (None if at is None else round(at.timestamp() * 1e6) for at in (start, end))
    if start_us is not None and end_us is not None and start_us >= end_us:
        raise RangeError("the start is not before the end", "give start < end")
    return start_us, end_us
