"""Readings from gateways: JSON, NDJSON or Arrow in, columns on, durable when answered."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request, Response
from starlette.datastructures import Headers

from serve import intake
from serve.access import Caller
from serve.columns import gather_table
from serve.context import Context, InContext, Who
from serve.door import Party
from serve.formats import ARROW, JSON, NDJSON, Body, read_body
from serve.gate import guarded
from serve.intake import MOST_TOGETHER
from serve.present import reply
from serve.schemas.base import Problem
from serve.schemas.readings import Readings, ReadingsTaken

router = guarded(prefix="/api/readings", tags=["readings"])
ingest = guarded(prefix="/ingest", tags=["readings"])


_SMALL_BYTES: Final = 16_384
"""A body up to this size is read at once, without a thread."""


def _body_schema() -> dict[str, Any]:
    """The schema of a body that FastAPI does not read itself, without references."""
    schema = Readings.model_json_schema()
    schema["properties"]["readings"]["items"] = schema.pop("$defs")["Reading"]
    return schema


_BODY: Final = _body_schema()
_ACCEPTED: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": _BODY},
            NDJSON: {"schema": {"type": "string", "description": "one reading a line"}},
            ARROW: {
                "schema": {
                    "type": "string",
                    "format": "binary",
                    "description": "columns device, time, and one a channel; null: not sent, NaN: bad",
                }
            },
        },
    }
}
_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Problem} for status in (400, 401, 403, 413, 415, 429, 503, 507)
}


@ingest.post("", response_model=ReadingsTaken, responses=_REFUSED, openapi_extra=_ACCEPTED)
@router.post("", response_model=ReadingsTaken, responses=_REFUSED, openapi_extra=_ACCEPTED)
async def readings(context: InContext, who: Who, request: Request) -> Response:
    """Take a batch in. A bad reading costs no other; what was accepted is on disk when this answers."""
    body = await request.body()
    if len(body) > _SMALL_BYTES or "content-encoding" in request.headers:
        return reply(await context.call(_take, context, who, request.headers, body))
    found = _read(context, request.headers, body)
    if found.lines is None or len(found.lines) > MOST_TOGETHER:
        return reply(await context.call(take, context, who, found))
    return reply(await take_small(context, who, found))


def _take(context: Context, who: Caller, headers: Headers, body: bytes) -> dict[str, Any]:
    with context.decodes:
        found = _read(context, headers, body)
    return take(context, who, found)


def _read(context: Context, headers: Headers, body: bytes) -> Body:
    return read_body(headers, body, context.config.batch_readings, context.config.unpacked_bytes)


async def take_small(context: Context, who: Caller, found: Body) -> dict[str, Any]:
    """What ``take`` does, for a body of few lines: together with others that come at the same time."""
    lines, membership, covers = found.lines or [], _membership(context, who), _covers(context, who)
    taken, accepted, cursors = await context.together.take(
        lambda: intake.gather(lines, found.wanted, membership, covers), len(lines)
    )
    return _told(context, taken, accepted, cursors)


def take(context: Context, who: Caller, found: Body) -> dict[str, Any]:
    """Write a body's readings; what became of them, in the form of ``ReadingsTaken``. Blocks until they are durable."""
    membership, covers = _membership(context, who), _covers(context, who)
    if found.table is not None:
        taken = gather_table(found.table, found.wanted, membership, covers)
    else:
        taken = intake.gather(found.lines or [], found.wanted, membership, covers)
    accepted, cursors = intake.write(context.fleet, taken)
    return _told(context, taken, accepted, cursors)


def _told(
    context: Context, taken: intake.Intake, accepted: Counter[str], cursors: Mapping[int, int]
) -> dict[str, Any]:
    return {
        "accepted": dict(accepted),
        "refused": taken.refusals.told,
        "refused_total": taken.refusals.total,
        "level": "durable",
        "cursor": context.cursor_at(cursors),
    }


def _covers(context: Context, who: Caller) -> intake.Covers | None:
    """Which devices the sender may write for; None: all of them."""
    if who.key is None or who.key.scope.is_everything:
        return None
    scope, view = who.key.scope, context.live.view
    return context.door.covers(scope, lambda ids, places: scope.covers(ids, places, view))


def _membership(context: Context, who: Caller) -> intake.Membership:
    """Who is in the fleet, as far as this sender is concerned. An account that is for some sites brings nobody new."""
    if who.sites is not None:
        return context.fleet
    if who.key is None:
        return context.door.of(Party(who.name, "account"))
    return context.door.of(Party(f"key:{who.key.id}", "key", who.key.scope))
