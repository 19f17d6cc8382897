"""Readings from gateways: JSON in, columns on, durable when answered."""

from collections import Counter
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request, Response

from serve import intake
from serve.context import Context, InContext
from serve.present import reply
from serve.schemas import Problem, Readings, ReadingsTaken

router = APIRouter(prefix="/api/readings", tags=["readings"])


def _body_schema() -> dict[str, Any]:
    """The schema of a body that FastAPI does not read itself, without references."""
    schema = Readings.model_json_schema()
    schema["properties"]["readings"]["items"] = schema.pop("$defs")["Reading"]
    return schema


_BODY: Final = _body_schema()


@router.post(
    "",
    response_model=ReadingsTaken,
    responses={
        400: {"model": Problem},
        413: {"model": Problem},
        429: {"model": Problem},
        503: {"model": Problem},
    },
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _BODY}}}},
)
async def readings(context: InContext, request: Request) -> Response:
    """Take a batch in. A bad reading costs no other; what was accepted is on disk when this answers."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, f"a body of type {kind[:60]!r}; send application/json")
    return reply(await context.call(_take, context, await request.body()))


def _take(context: Context, body: bytes) -> dict[str, Any]:
    fleet = context.fleet
    wanted, lines = intake.parse(body, context.config.batch_readings)
    taken = intake.gather(lines, wanted, fleet.types, fleet.directory)
    accepted: Counter[str] = Counter()
    cursors: dict[int, int] = {}
    for batch, positions in taken.batches:
        written = fleet.write(batch)
        accepted.update(written.fates)
        cursors.update(written.cursors)
        for line, device_id, code in written.refused:
            taken.refusals.add(int(positions[line]), device_id, code, "it left the fleet just now")
    return {
        "accepted": dict(accepted),
        "refused": taken.refusals.told,
        "refused_total": taken.refusals.total,
        "level": "durable",
        "cursor": context.cursor_at(cursors),
    }
