"""Readings from gateways: JSON, NDJSON or Arrow in, columns on, durable when answered."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers

from serve import intake
from serve.access import Caller
from serve.columns import gather_table
from serve.context import Context, InContext, Who
from serve.formats import ARROW, JSON, NDJSON, Body, read_body
from serve.present import reply
from serve.schemas import Problem, Readings, ReadingsTaken

router = APIRouter(prefix="/api/readings", tags=["readings"])
ingest = APIRouter(prefix="/ingest", tags=["readings"])


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
    return reply(await context.call(_take, context, who, request.headers, await request.body()))


def _take(context: Context, who: Caller, headers: Headers, body: bytes) -> dict[str, Any]:
    config = context.config
    return take(context, who, read_body(headers, body, config.batch_readings, config.unpacked_bytes))


def take(context: Context, who: Caller, found: Body) -> dict[str, Any]:
    """Write a body's readings; what became of them, in the form of ``ReadingsTaken``. Blocks until they are durable."""
    fleet, covers = context.fleet, _covers(context, who)
    if found.table is not None:
        taken = gather_table(found.table, found.wanted, fleet, covers)
    else:
        taken = intake.gather(found.lines or [], found.wanted, fleet, covers)
    accepted, cursors = intake.write(fleet, taken)
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
    return lambda ids, places: scope.covers(ids, places, view)
