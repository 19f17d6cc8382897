"""Readings from gateways: JSON, NDJSON or Arrow in, columns on, durable when answered."""

from collections.abc import Callable
from functools import partial
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
from serve.guards import said_bytes
from serve.intake import MOST_TOGETHER
from serve.present import reply
from serve.schemas.base import Problem
from serve.schemas.readings import Readings, ReadingsTaken
from serve.together import Known, NotKnownError, Small

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
    if said_bytes(request.headers) > _SMALL_BYTES:
        context.bodies.check()  # who says beforehand how long it is, and finds no room, is refused unread
    body = await request.body()
    read = partial(_read, context, request.headers, body)
    if len(body) > _SMALL_BYTES:
        return reply(await _take_large(context, who, read))
    if "content-encoding" in request.headers:
        return reply(await context.call(lambda: take(context, who, read())))
    found = read()
    if found.lines is None or len(found.lines) > MOST_TOGETHER:
        return reply(await context.call(take, context, who, found))
    return reply(await take_small(context, who, found))


async def _take_large(context: Context, who: Caller, read: Callable[[], Body]) -> dict[str, Any]:
    """Read and gather a body in a thread, and write what is in it from here.

    Where not all of its devices are known, another thread asks: who reads the next body does not wait for that.
    """
    with context.bodies.one():
        found = await context.decode(read)
        try:
            taken = await context.decode(_gathered, context, who, found, Known)
        except NotKnownError:
            taken = await context.call(_gathered, context, who, found)
        return _told(context, await intake.write_async(context.fleet, taken))


def _read(context: Context, headers: Headers, body: bytes) -> Body:
    return read_body(headers, body, context.config.batch_readings, context.config.unpacked_bytes)


async def take_small(context: Context, who: Caller, found: Body) -> dict[str, Any]:
    """What ``take`` does, for a body of few lines: together with others that come at the same time."""
    membership, covers = _membership(context, who), _covers(context, who)
    small = Small(found.lines or [], found.wanted, who, membership, covers)
    return _told(context, await context.together.take(small))


def take(context: Context, who: Caller, found: Body) -> dict[str, Any]:
    """Write a body's readings; what became of them, in the form of ``ReadingsTaken``. Blocks until they are durable."""
    return _told(context, intake.write(context.fleet, _gathered(context, who, found)))


def _gathered(
    context: Context,
    who: Caller,
    found: Body,
    met: Callable[[intake.Membership], intake.Membership] | None = None,
) -> intake.Intake:
    """What can be read in a body; ``met`` is what the membership is asked through."""
    membership, covers = _membership(context, who), _covers(context, who)
    if met is not None:
        membership = met(membership)
    if found.table is not None:
        return gather_table(found.table, found.wanted, membership, covers)
    return intake.gather(found.lines or [], found.wanted, membership, covers)


def _told(context: Context, became: intake.Outcome) -> dict[str, Any]:
    return {
        "accepted": dict(became.accepted),
        "refused": became.refusals.told,
        "refused_total": became.refusals.total,
        "level": "durable",
        "cursor": context.cursor_at(became.cursors),
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
