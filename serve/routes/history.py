"""The past: of one device, and of the alerts of all."""

from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import AwareDatetime

from serve import past, prognosis
from serve.context import Context, InContext
from serve.errors import RangeError
from serve.eventlog import EVENT_TYPES, FAMILIES, EventQuery, count_events, list_events
from serve.gate import guarded
from serve.kpis import alert_kpis
from serve.lists import devices_matching
from serve.live import View
from serve.present import as_of, iso, page_reply, reply
from serve.routes.words import After, Before, Exactly, Filter, Limit, Offset, Paged, Several, known
from serve.schemas.base import Problem
from serve.schemas.history import AlertKpis, ConditionHistory, DeviceHistory, EventCounts, FleetEvents
from serve.schemas.prognosis import DevicePrognosis, PrognosisHistory
from twins.clock import DAY_US, HOUR_US
from twins.devices import PRIORITIES
from twins.errors import DeviceNotFoundError

router = guarded(tags=["history"])

MAX_POINTS = 5_000

_REFUSALS: dict[int | str, dict[str, Any]] = {400: {"model": Problem}, 404: {"model": Problem}}

Start = Annotated[AwareDatetime | None, Query(description="ISO 8601 with zone; left out: a day before `end`")]
Position = Annotated[
    str, Query(max_length=4_000, description="a filter of devices: those of one operator position")
]
End = Annotated[AwareDatetime | None, Query(description="ISO 8601 with zone; left out: now")]


@router.get("/api/devices/{device_id:path}/history", response_model=DeviceHistory, responses=_REFUSALS)
async def device_history(
    context: InContext,
    device_id: str,
    channels: Annotated[str, Query(max_length=2_000, description="names with commas; left out: all")] = "",
    start: Start = None,
    end: End = None,
    points: Annotated[int, Query(ge=2, le=MAX_POINTS)] = 600,
) -> Response:
    """Readings over time; more than ``points`` of them as the least and the greatest of each bucket."""
    device_type = await context.call(_type_of, context, device_id)
    known = context.fleet.types[device_type].channel_names
    wanted = [name.strip() for name in channels.split(",") if name.strip()] or list(known)
    if unknown := next((name for name in wanted if name not in known), None):
        raise RangeError(f"type {device_type!r} has no channel {unknown[:60]!r}", f"use {', '.join(known)}")
    start_us, end_us = _span(context, start, end)
    return reply(
        await context.call(
            past.device_history, context.history, device_type, device_id, start_us, end_us, wanted, points
        )
    )


@router.get("/api/devices/{device_id:path}/condition", response_model=ConditionHistory, responses=_REFUSALS)
async def device_condition(
    context: InContext, device_id: str, start: Start = None, end: End = None
) -> Response:
    """Health and anomaly score over time, as they changed."""
    await context.call(_type_of, context, device_id)
    return reply(
        await context.call(past.device_condition, context.history, device_id, *_span(context, start, end))
    )


@router.get("/api/devices/{device_id:path}/prognosis", response_model=DevicePrognosis, responses=_REFUSALS)
async def device_prognosis(context: InContext, device_id: str) -> Response:
    """The forecast of a device at this moment: the curve, by failure mode, and what moved it."""
    return reply(
        await context.call(prognosis.device_prognosis, context.fleet, context.forecasters, device_id)
    )


@router.get("/api/devices/{device_id:path}/prognoses", response_model=PrognosisHistory, responses=_REFUSALS)
async def device_prognoses(
    context: InContext, device_id: str, start: Start = None, end: End = None
) -> Response:
    """The forecasts of a device over time, as they changed."""
    await context.call(_type_of, context, device_id)
    where = _span(context, start, end)
    return reply(await context.call(past.prognosis_history, context.history, device_id, *where))


@router.get("/api/devices/{device_id:path}/events", response_model=FleetEvents, responses=_REFUSALS)
async def device_events(context: InContext, device_id: str, spot: Paged) -> Response:
    """What happened to a device, newest first."""
    await context.call(_type_of, context, device_id)
    where = spot.limit, spot.after, spot.before, spot.offset
    return await _events(context, EventQuery("", (), (device_id,), (), (), None, None, *where))


@router.get("/api/events", response_model=FleetEvents, responses={400: {"model": Problem}})
async def events(
    context: InContext,
    filter: Filter = "",  # noqa: A002
    kind: Annotated[
        Several, Query(description=f"event types, or all that begin with {', '.join(FAMILIES)}")
    ] = None,
    device: Exactly = None,
    rule: Exactly = None,
    priority: Annotated[Several, Query(description=f"of the rule; of {', '.join(PRIORITIES)}")] = None,
    start: Annotated[AwareDatetime | None, Query(description="recorded at this time or later")] = None,
    end: Annotated[AwareDatetime | None, Query(description="recorded before this time")] = None,
    limit: Limit = 50,
    after: After = None,
    before: Before = None,
    offset: Offset = None,
) -> Response:
    """What happened to devices, newest first. The filter is one of devices, as they are now."""
    start_us, end_us = (None if at is None else round(at.timestamp() * 1e6) for at in (start, end))
    query = EventQuery(
        filter, known(kind, "kind of event", (*FAMILIES, *EVENT_TYPES)), tuple(device or ()), tuple(rule or ()),
        known(priority, "priority", PRIORITIES), start_us, end_us, limit, after, before, offset,
    )  # fmt: skip
    return await _events(context, query)


@router.get("/api/events/counts", response_model=EventCounts, responses={400: {"model": Problem}})
async def event_counts(
    context: InContext,
    filter: Filter = "",  # noqa: A002
    start: Start = None,
    end: End = None,
) -> Response:
    """How much happened of each kind, and to how many devices. The filter is one of devices, as they are now."""
    start_us, end_us = _span(context, start, end)
    view = await context.view()
    query = EventQuery(filter, start_us=start_us, end_us=end_us)
    counts = await context.call(count_events, context.history, context.fleet.types, view, query)
    return reply({"items": counts, "start": iso(start_us), "end": iso(end_us)})


@router.get("/api/alerts/kpis", response_model=AlertKpis, responses={400: {"model": Problem}})
async def kpis(
    context: InContext,
    hours: Annotated[float, Query(ge=0.01, le=24 * 31, description="up to now")] = 24,
    filter: Position = "",  # noqa: A002
) -> Response:
    """How the alerts treat the people who answer them: the KPIs of ISA-18.2, for a position if one is given."""
    return reply(await context.call(_kpis, context, context.live.view, hours, filter))


def _kpis(context: Context, view: View, hours: float, position: str) -> dict[str, Any]:
    end_us = context.fleet.clock.now_us() + 1
    start_us = end_us - round(hours * HOUR_US)
    types = context.fleet.types
    devices = devices_matching(view, types, position) if position.strip() else None
    log = past.alert_log(context.history, types, view.alerts, start_us, end_us, devices)
    found = alert_kpis(log, start_us, end_us)
    floods = [
        {"start": iso(flood["start_us"]), "end": iso(flood["end_us"]), "alerts": flood["alerts"]}
        for flood in found["worst_floods"]
    ]
    since = iso(found.pop("flooded_since_us"))
    return {**found, "worst_floods": floods, "flooded_since": since, "as_of": as_of(view)}


async def _events(context: Context, query: EventQuery) -> Response:
    view = await context.view()
    page = await context.call(list_events, context.history, context.fleet.types, context.rules, view, query)
    return page_reply(view, page)


def _type_of(context: Context, device_id: str) -> str:
    found = context.fleet.find(device_id)
    if found is None:
        raise DeviceNotFoundError(device_id)
    return found[1]


def _span(context: Context, start: AwareDatetime | None, end: AwareDatetime | None) -> tuple[int, int]:
    """Start and end in µs, the end excluded."""
    end_us = context.fleet.clock.now_us() + 1 if end is None else round(end.timestamp() * 1e6)
    start_us = end_us - DAY_US if start is None else round(start.timestamp() * 1e6)
    if start_us >= end_us:
        raise RangeError("the start is not before the end", "give start < end")
    return start_us, end_us
