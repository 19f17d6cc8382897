"""Recommendations: what to do, for the whole fleet or one device, and what people decide about it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Query, Response

from serve.access import Caller
from serve.cases import past_cases
from serve.context import Address, CommandId, Context, InContext, Who
from serve.decisions import SHOWN, STATES, Basis, Decision, Known, Tally
from serve.errors import RecommendationNotFoundError, UnfitError
from serve.gate import guarded
from serve.preconditions import Asked, tagged
from serve.present import page_reply, reply
from serve.prospects import money
from serve.recommendations import (
    Advised,
    RecommendationQuery,
    advised_of_twin,
    decision_item,
    device_and_mode,
    list_recommendations,
)
from serve.routes.words import After, Before, Cursors, Exactly, Filter, Limit, Offset, Several, known, several
from serve.schemas.base import Problem
from serve.schemas.recommendations import (
    Acceptance,
    Decided,
    DeviceRecommendations,
    Dismissal,
    Finished,
    RecommendationDetail,
    RecommendationPage,
    RecommendationRecord,
    RecommendationSimulation,
)
from twins import commands as c
from twins.devices import PRIORITIES, DeviceType
from twins.recommendations import CONFIDENCES

router = guarded(tags=["recommendations"])

_REFUSALS: dict[int | str, dict[str, Any]] = {400: {"model": Problem}, 404: {"model": Problem}}
_ACT_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 404, 409, 422, 429, 503, 507)
}
_SIMULATION_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (404, 410, 429, 503)
}

Sort = Annotated[
    str,
    Query(max_length=40, description="`urgency`, `stake` (most money first) or `due` (soonest first)"),
]
Wanted = Annotated[Several, Query(description=f"of {', '.join(STATES)}; left out: what is open or accepted")]


@router.get("/api/recommendations", response_model=RecommendationPage, responses=_REFUSALS)
async def recommendations(
    context: InContext,
    asked: Asked,
    filter: Filter = "",  # noqa: A002
    device: Exactly = None,
    type: Several = None,  # noqa: A002
    site: Exactly = None,
    failure_mode: Exactly = None,
    confidence: Annotated[Several, Query(description=f"of {', '.join(CONFIDENCES)}")] = None,
    priority: Annotated[Several, Query(description=f"of {', '.join(PRIORITIES)}")] = None,
    decision: Wanted = None,
    sort: Sort = "urgency",
    limit: Limit = 50,
    after: After = None,
    before: Before = None,
    offset: Offset = None,
    cursors: Cursors = None,
) -> Response:
    """What to do about devices whose alerts stand, or for which a failure is forecast: the most urgent first, then the most
    likely, then those with most money at stake."""
    view = await context.view(*cursors or ())
    decisions, tallies = await context.identify(_decided_so_far, context)
    asked.beside((decisions, tallies))
    if (held := asked.known(view)) is not None:
        return held
    query = RecommendationQuery(
        filter, tuple(device or ()), several(type), tuple(site or ()), tuple(failure_mode or ()),
        known(confidence, "confidence", CONFIDENCES), known(priority, "priority", PRIORITIES),
        known(decision, "decision", STATES) or SHOWN, sort, limit, after, before, offset,
    )  # fmt: skip
    page = await context.ask(
        list_recommendations, view, context.fleet.types, context.advisers, context.rules, query, decisions,
        tallies, context.fleet.clock.now_us(),
    )  # fmt: skip
    return asked.answered(view, page_reply(view, page))


@router.get(
    "/api/devices/{device_id:path}/recommendations", response_model=DeviceRecommendations, responses=_REFUSALS
)
async def of_device(context: InContext, device_id: str) -> Response:
    """What to do about one device, from all that its shard knows at this moment: patterns count, alert or none."""
    found, _ = await _advised(context, device_id)
    return reply({"items": [each.item for each in found]})


@router.get("/api/recommendations/record", response_model=RecommendationRecord, responses=_REFUSALS)
async def record(context: InContext) -> Response:
    """What came of recommendations so far, by device type and failure mode: of a type, from devices of all sites, and of
    no one device."""
    tallies = await context.call(context.decisions.tallies)
    return tagged({"items": [_tally_item(each, context.fleet.types) for each in tallies]})


@router.get(
    "/api/recommendations/{recommendation:path}/simulation",
    response_model=RecommendationSimulation,
    responses=_SIMULATION_REFUSALS,
)
async def simulation(context: InContext, recommendation: str) -> Response:
    """What doing nothing, later and now come to in the device's own futures: its present state, forked some hundred times
    and run forward. It takes a second or two, and is kept for five minutes."""
    found, _ = await _one(context, recommendation)
    return reply(await context.rebuild(context.simulations.of, found))


@router.get(
    "/api/recommendations/{recommendation:path}", response_model=RecommendationDetail, responses=_REFUSALS
)
async def one(context: InContext, recommendation: str) -> Response:
    """One recommendation, with past cases of its failure mode in all devices of the type."""
    found, device_type = await _one(context, recommendation)
    adviser = context.advisers.find(device_type)
    cases = await context.call(past_cases, context.history, adviser, found.basis.failure_mode)
    return reply({**found.item, "cases": cases})


@router.post(
    "/api/recommendations/{recommendation:path}/accept", response_model=Decided, responses=_ACT_REFUSALS
)
async def accept(
    context: InContext, address: Address, who: Who, recommendation: str, body: Acceptance
) -> Response:
    """Take a recommendation on: it is going to be done."""
    found, _ = await _one(context, recommendation)
    work = context.decisions.accept
    return _decided(
        await context.call(work, who.actor(address), found.basis, found.known, body.note), recommendation
    )


@router.post(
    "/api/recommendations/{recommendation:path}/dismiss", response_model=Decided, responses=_ACT_REFUSALS
)
async def dismiss(
    context: InContext, address: Address, who: Who, recommendation: str, body: Dismissal
) -> Response:
    """Put a recommendation aside, until something new speaks for it, or until a chosen time."""
    found, _ = await _one(context, recommendation)
    until_us = None if body.until is None else round(body.until.timestamp() * 1e6)
    if until_us is not None and until_us <= context.fleet.clock.now_us():
        raise UnfitError("`until` is past", "give a time to come, or none")
    work = context.decisions.dismiss
    return _decided(
        await context.call(work, who.actor(address), found.basis, found.known, body.reason, until_us),
        recommendation,
    )


@router.post(
    "/api/recommendations/{recommendation:path}/done", response_model=Decided, responses=_ACT_REFUSALS
)
async def done(
    context: InContext,
    address: Address,
    who: Who,
    command_id: CommandId,
    recommendation: str,
    body: Finished,
) -> Response:
    """Say that it is done, and what was found; the maintenance is recorded with it, so the twin's life-cycle follows."""
    device_id, mode = device_and_mode(recommendation)
    found, device_type = await _advised(context, device_id)
    decisions = await context.call(context.decisions.of_device, device_id)
    newest = decisions.get(mode)
    if newest is not None and newest.command_id == command_id[:500]:  # asked again, as its answer was lost
        return _decided(newest, recommendation)
    basis, known = _to_finish(found, mode, newest, recommendation)
    command = _recording(body, basis, device_type, who, command_id)
    cursors = await context.call(context.fleet.command, command)
    after = await context.call(context.fleet.read_twin, device_id)
    basis = replace(basis, action=body.action, life_cycle=after["life_cycle"])
    decision = await context.call(
        context.decisions.finish, who.actor(address), basis, known, body.outcome, body.note, command_id
    )
    return _decided(decision, recommendation, context.cursor_at(cursors))


def _decided_so_far(context: Context) -> tuple[list[Decision], list[Tally]]:
    return context.decisions.newest(), context.decisions.tallies()


async def _advised(context: Context, device_id: str) -> tuple[list[Advised], DeviceType]:
    twin = await context.call(context.fleet.read_twin, device_id)
    decisions = await context.call(context.decisions.of_device, device_id)
    tallies = await context.call(context.decisions.tallies)
    device_type, now_us = context.fleet.types[twin["type"]], context.fleet.clock.now_us()
    return (
        advised_of_twin(twin, device_type, context.advisers, context.rules, now_us, decisions, tallies),
        device_type,
    )


async def _one(context: Context, recommendation: str) -> tuple[Advised, DeviceType]:
    device_id, mode = device_and_mode(recommendation)
    found, device_type = await _advised(context, device_id)
    for each in found:
        if each.basis.failure_mode == mode:
            return each, device_type
    raise RecommendationNotFoundError(recommendation)


def _to_finish(
    found: Sequence[Advised], mode: str, newest: Decision | None, recommendation: str
) -> tuple[Basis, Known]:
    """What is done: a recommendation, or what was accepted and is recommended no longer, as its signs are gone.

    Raises
    ------
    RecommendationNotFoundError : neither.
    """
    for each in found:
        if each.basis.failure_mode == mode:
            return each.basis, each.known
    if newest is None or newest.state != "accepted":
        raise RecommendationNotFoundError(recommendation)
    return newest.basis, Known(newest, stands=True)


def _recording(
    body: Finished, basis: Basis, device_type: DeviceType, who: Caller, command_id: str
) -> c.RecordMaintenance:
    """What was done, or looked at, as maintenance."""
    action = next((each for each in device_type.actions if each.name == body.action), None)
    confirmed = body.outcome == "fault_confirmed"
    return c.RecordMaintenance(
        command_id=command_id,
        by=who.name,
        device_id=basis.device_id,
        kind=action.kind if action is not None else "inspection",
        action=body.action,
        failure_mode=basis.failure_mode or None if confirmed else None,
        note=body.note,
    )


def _tally_item(tally: Tally, types: Mapping[str, DeviceType]) -> dict[str, Any]:
    device_type = types.get(tally.device_type)
    modes = {} if device_type is None else {each.name: each for each in device_type.failure_modes}
    mode = modes.get(tally.failure_mode)
    return {
        "type": tally.device_type,
        "failure_mode": tally.failure_mode or None,
        "title": None if mode is None else mode.title or mode.name,
        "decisions": tally.decisions,
        "hits": tally.hits,
        "false": tally.false,
        "missed": tally.missed,
        "unclear": tally.unclear,
        "pending": tally.pending,
        "confirmed": round(tally.confirmed, 4),
        "expected_cost": money(tally.expected),
        "actual_cost": money(tally.actual),
    }


def _decided(decision: Decision, recommendation: str, cursor: str | None = None) -> Response:
    return reply({"id": recommendation, "decision": decision_item(decision), "cursor": cursor})
