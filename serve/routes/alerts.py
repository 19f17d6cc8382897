"""Alerts: those that stand, and what people do about them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Query, Response

from serve.alert_groups import GROUPINGS, Group, Grouping, group_alerts
from serve.context import CommandId, Context, InContext, User
from serve.gate import guarded
from serve.lists import AlertQuery, list_alerts
from serve.live import View
from serve.many import MOST_AT_ONCE, check_number, many_counted, many_done
from serve.notes import check_notes
from serve.preconditions import Asked
from serve.present import alert_item, as_of, reply
from serve.routes.words import After, Before, Cursors, Exactly, Filter, Limit, Offset, Several, known, several
from serve.schemas.alerts import (
    AlertCommands,
    AlertGroups,
    AlertPage,
    AlertsDone,
    Assignment,
    Comment,
    Note,
    NotesNeeded,
    Reason,
    Shelving,
)
from serve.schemas.base import Problem
from serve.schemas.devices import Done
from twins import commands as c
from twins.alerts import AlertPhase, alert_id, parse_alert_id
from twins.devices import PRIORITIES
from twins.errors import AlertNotFoundError, FleetError
from twins.fleet import CommandsResult

router = guarded(prefix="/api/alerts", tags=["alerts"])

_COMMANDS: dict[str, type[c.AlertCommand]] = {
    "acknowledge": c.AcknowledgeAlert,
    "reset": c.ResetAlert,
    "shelve": c.ShelveAlert,
    "unshelve": c.UnshelveAlert,
    "suppress": c.SuppressAlert,
    "unsuppress": c.UnsuppressAlert,
    "remove-from-service": c.RemoveFromService,
    "return-to-service": c.ReturnToService,
    "assign": c.AssignAlert,
    "comment": c.CommentAlert,
}

_REFUSALS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem}, 409: {"model": Problem}, 422: {"model": Problem}, 429: {"model": Problem},
    503: {"model": Problem}, 507: {"model": Problem},
}  # fmt: skip


States = Annotated[Several, Query(description=f"of {', '.join(phase.name for phase in AlertPhase)}")]
Priorities = Annotated[Several, Query(description=f"of {', '.join(PRIORITIES)}")]


@router.get("", response_model=AlertPage, responses={400: {"model": Problem}})
async def alerts(
    context: InContext,
    asked: Asked,
    state: States = None,
    priority: Priorities = None,
    device: Exactly = None,
    type: Several = None,  # noqa: A002
    site: Exactly = None,
    filter: Filter = "",  # noqa: A002
    limit: Limit = 50,
    after: After = None,
    before: Before = None,
    offset: Offset = None,
    cursors: Cursors = None,
) -> Response:
    """The alerts that stand or are put aside: most urgent first, then newest first."""
    view = await context.view(*cursors or ())
    if (held := asked.known(view)) is not None:
        return held
    query = AlertQuery(
        known(state, "state", [phase.name for phase in AlertPhase]),
        known(priority, "priority", PRIORITIES),
        tuple(device or ()),
        several(type),
        tuple(site or ()),
        limit,
        after,
        before,
        offset,
        filter,
    )
    return asked.answered(view, reply(await context.ask(_page, context, view, query)))


@router.get("/groups", response_model=AlertGroups, responses={400: {"model": Problem}})
async def groups(
    context: InContext,
    by: Annotated[
        Grouping, Query(description="what those of a group share; `cause`: rule and site")
    ] = "cause",
    state: States = None,
    priority: Priorities = None,
    device: Exactly = None,
    type: Several = None,  # noqa: A002
    site: Exactly = None,
    filter: Filter = "",  # noqa: A002
    cursors: Cursors = None,
) -> Response:
    """The same alerts by what they have in common, each group with the one that was raised first."""
    view = await context.view(*cursors or ())
    query = AlertQuery(
        known(state, "state", [phase.name for phase in AlertPhase]), known(priority, "priority", PRIORITIES),
        tuple(device or ()), several(type), tuple(site or ()), filter=filter,
    )  # fmt: skip
    return reply(await context.ask(_groups, context, view, query, by))


@router.get("/notes", response_model=NotesNeeded)
async def notes(context: InContext) -> Response:
    """Which commands must say why; one that does not is refused with `alert.note_needed`."""
    return reply(asdict(context.config.notes))


@router.post("/commands", response_model=AlertsDone, responses={400: {"model": Problem}, **_REFUSALS})
async def command_many(context: InContext, by: User, command_id: CommandId, body: AlertCommands) -> Response:
    """Ask one thing of many alerts; one that is refused costs no other. With ``dry_run`` they are only counted."""
    wanted = await _wanted(context, body)
    if body.dry_run or not wanted:
        return reply(many_counted(len(wanted)))
    kind, more = _COMMANDS[body.command], _more(body)
    commands: list[c.AlertCommand] = []
    refused: list[tuple[str, FleetError]] = []
    for alert in wanted:
        try:
            device_id, rule, occurrence = parse_alert_id(alert)
            command = kind(
                command_id=f"{command_id}#{alert}", by=by, device_id=device_id, rule=rule,
                occurrence=occurrence, note=body.note, **more,
            )  # fmt: skip
        except AlertNotFoundError as error:
            refused.append((alert, error))
        else:
            commands.append(command)
    result = await context.call(_command_many, context, commands)
    refused += [
        (alert_id(each.device_id, each.rule, each.occurrence or 0), why)
        for each, why in zip(commands, result.refused, strict=True)
        if why is not None
    ]
    cursor = context.cursor_at(result.cursors) if result.cursors else None
    return reply(many_done("alert", len(wanted), refused, cursor))


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
    return reply({"cursor": context.cursor_at(await context.call(_command, context, command))})


def _command(context: Context, command: c.AlertCommand) -> dict[int, int]:
    """What ``Fleet.command`` does, for a command that says why where it must."""
    (why,) = check_notes([command], context.fleet, context.config.notes)
    if why is not None:
        raise why
    return context.fleet.command(command)


def _command_many(context: Context, commands: Sequence[c.AlertCommand]) -> CommandsResult:
    """What ``Fleet.command_many`` does, for those of the commands that say why where they must."""
    refused = check_notes(commands, context.fleet, context.config.notes)
    fit = [at for at, why in enumerate(refused) if why is None]
    result = context.fleet.command_many([commands[at] for at in fit])
    for at, why in zip(fit, result.refused, strict=True):
        refused[at] = why
    return CommandsResult(result.cursors, refused)


async def _wanted(context: Context, body: AlertCommands) -> list[str]:
    """The alerts that a request is about, each once."""
    if body.alerts is not None:
        return list(dict.fromkeys(body.alerts))
    assert body.matching is not None
    m = body.matching
    query = AlertQuery(
        tuple(m.state), tuple(m.priority), tuple(m.device), tuple(m.type), tuple(m.site), MOST_AT_ONCE,
        filter=m.filter,
    )  # fmt: skip
    page = await context.ask(list_alerts, await context.view(), query, context.fleet.types)
    check_number("alerts", page.total)
    return [alert_id(line["device_id"], line["rule"], line["occurrence"]) for line in page.items]


def _more(body: AlertCommands) -> dict[str, Any]:
    """What some commands want to know beside a note."""
    match body.command:
        case "shelve":
            return {"duration_s": body.duration_s, "reason": body.reason}
        case "suppress" | "remove-from-service":
            return {"reason": body.reason}
        case "assign":
            return {"assignee": body.assignee}
    return {}


def _page(context: Context, view: View, query: AlertQuery) -> dict[str, Any]:
    types = context.fleet.types
    page = list_alerts(view, query, types)
    return {
        "items": [alert_item(line, types.get(line["device_type"]), context.rules) for line in page.items],
        "total": page.total,
        "counts": page.counts,
        "as_of": as_of(view),
        "next": page.next,
        "previous": page.previous,
    }


def _groups(context: Context, view: View, query: AlertQuery, by: Grouping) -> dict[str, Any]:
    found = group_alerts(view, query, by, context.fleet.types)
    return {
        "items": [_group(context, each, by) for each in found.items],
        "groups": found.groups,
        "total": found.total,
        "as_of": as_of(view),
    }


def _group(context: Context, group: Group, by: Grouping) -> dict[str, Any]:
    first = alert_item(group.first, context.fleet.types.get(group.first["device_type"]), context.rules)
    shared = {"rule": "rule", "device_type": "type", "site": "site", "device_id": "device_id"}
    return {
        **{name: first[name] if column in GROUPINGS[by] else None for column, name in shared.items()},
        "total": group.total,
        "unacknowledged": group.unacknowledged,
        "devices": group.devices,
        "counts": group.counts,
        "first": first,
    }


def _reason(body: Reason | None) -> dict[str, Any]:
    return {"reason": body.reason if body is not None else ""}
