"""Alerts: those that stand, and what people do about them."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from serve.context import CommandId, Context, InContext, User
from serve.lists import AlertQuery, list_alerts
from serve.live import View
from serve.present import alert_item, as_of, reply
from serve.schemas import AlertPage, Assignment, Comment, Done, Note, Problem, Reason, Shelving
from twins import commands as c
from twins.alerts import AlertPhase, parse_alert_id
from twins.devices import PRIORITIES

router = APIRouter(prefix="/api/alerts", tags=["alerts"])

MAX_LIMIT = 1_000

_REFUSALS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem}, 409: {"model": Problem}, 429: {"model": Problem}, 503: {"model": Problem},
    507: {"model": Problem},
}  # fmt: skip

Several = Annotated[
    list[str] | None, Query(max_length=100, description="one or more, repeated or with commas")
]
Exactly = Annotated[list[str] | None, Query(max_length=100, description="one or more, repeated")]


@router.get("", response_model=AlertPage, responses={400: {"model": Problem}})
async def alerts(
    context: InContext,
    state: Annotated[
        Several, Query(description=f"of {', '.join(phase.name for phase in AlertPhase)}")
    ] = None,
    priority: Annotated[Several, Query(description=f"of {', '.join(PRIORITIES)}")] = None,
    device: Exactly = None,
    type: Several = None,  # noqa: A002
    site: Exactly = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    after: Annotated[str | None, Query(description="`next` of the page before")] = None,
    cursor: Annotated[str | None, Query(description="wait for what this cursor names")] = None,
) -> Response:
    """The alerts that stand or are put aside: most urgent first, then newest first."""
    view = await context.view(cursor)
    query = AlertQuery(
        _several(state),
        _several(priority),
        tuple(device or ()),
        _several(type),
        tuple(site or ()),
        limit,
        after,
    )
    return reply(await context.ask(_page, context, view, query))


@router.post("/{alert:path}/acknowledge", response_model=Done, responses=_REFUSALS)
async def acknowledge(
    context: InContext, by: User, command_id: CommandId, alert: str, body: Note | None = None
) -> Response:
    """Seen, and somebody is on it."""
    return await _do(context, c.AcknowledgeAlert, alert, by, command_id, body)


@router.post("/{alert:path}/reset", response_model=Done, responses=_REFUSALS)
async def reset(
    context: InContext, by: User, command_id: CommandId, alert: str, body: Note | None = None
) -> Response:
    """Let a latched alert go."""
    return await _do(context, c.ResetAlert, alert, by, command_id, body)


@router.post("/{alert:path}/shelve", response_model=Done, responses=_REFUSALS)
async def shelve(context: InContext, by: User, command_id: CommandId, alert: str, body: Shelving) -> Response:
    """Put aside for a time, or until it next returns to normal."""
    duration_s = None if body.one_shot else body.duration_s
    more = {"duration_s": duration_s, "reason": body.reason}
    return await _do(context, c.ShelveAlert, alert, by, command_id, body, more)


@router.post("/{alert:path}/unshelve", response_model=Done, responses=_REFUSALS)
async def unshelve(
    context: InContext, by: User, command_id: CommandId, alert: str, body: Note | None = None
) -> Response:
    """Take back from the shelf."""
    return await _do(context, c.UnshelveAlert, alert, by, command_id, body)


@router.post("/{alert:path}/suppress", response_model=Done, responses=_REFUSALS)
async def suppress(
    context: InContext, by: User, command_id: CommandId, alert: str, body: Reason | None = None
) -> Response:
    """Suppress by design, by hand."""
    return await _do(context, c.SuppressAlert, alert, by, command_id, body, _reason(body))


@router.post("/{alert:path}/unsuppress", response_model=Done, responses=_REFUSALS)
async def unsuppress(
    context: InContext, by: User, command_id: CommandId, alert: str, body: Note | None = None
) -> Response:
    """End a suppression by hand."""
    return await _do(context, c.UnsuppressAlert, alert, by, command_id, body)


@router.post("/{alert:path}/remove-from-service", response_model=Done, responses=_REFUSALS)
async def remove_from_service(
    context: InContext, by: User, command_id: CommandId, alert: str, body: Reason | None = None
) -> Response:
    """Take the rule of this device out of service, for maintenance of the alarm itself."""
    return await _do(context, c.RemoveFromService, alert, by, command_id, body, _reason(body))


@router.post("/{alert:path}/return-to-service", response_model=Done, responses=_REFUSALS)
async def return_to_service(
    context: InContext, by: User, command_id: CommandId, alert: str, body: Note | None = None
) -> Response:
    """Put it back into service."""
    return await _do(context, c.ReturnToService, alert, by, command_id, body)


@router.post("/{alert:path}/assign", response_model=Done, responses=_REFUSALS)
async def assign(
    context: InContext, by: User, command_id: CommandId, alert: str, body: Assignment
) -> Response:
    """Hand it to somebody."""
    return await _do(context, c.AssignAlert, alert, by, command_id, body, {"assignee": body.assignee})


@router.post("/{alert:path}/comment", response_model=Done, responses=_REFUSALS)
async def comment(context: InContext, by: User, command_id: CommandId, alert: str, body: Comment) -> Response:
    """Say something about it."""
    return await _do(context, c.CommentAlert, alert, by, command_id, body)


async def _do(
    context: Context,
    kind: type[c.AlertCommand],
    alert: str,
    by: str,
    command_id: str,
    body: Note | None,
    more: dict[str, Any] | None = None,
) -> Response:
    device_id, rule, occurrence = parse_alert_id(alert)
    command = kind(
        command_id=command_id,
        by=by,
        device_id=device_id,
        rule=rule,
        occurrence=occurrence,
        note=body.note if body is not None else "",
        **(more or {}),
    )
    return reply({"cursor": context.cursor_at(await context.call(context.fleet.command, command))})


def _page(context: Context, view: View, query: AlertQuery) -> dict[str, Any]:
    page = list_alerts(view, query)
    types = context.fleet.types
    return {
        "items": [alert_item(line, types.get(line["device_type"]), context.rules) for line in page.items],
        "total": page.total,
        "counts": page.counts,
        "as_of": as_of(view),
        "next": page.next,
    }


def _several(values: list[str] | None) -> tuple[str, ...]:
    return tuple(part.strip() for value in values or () for part in value.split(",") if part.strip())


def _reason(body: Reason | None) -> dict[str, Any]:
    return {"reason": body.reason if body is not None else ""}
