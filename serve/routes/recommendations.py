"""Recommendations: what to do, for the whole fleet or one device."""

from typing import Annotated, Any

from fastapi import Query, Response

from serve.context import InContext
from serve.gate import guarded
from serve.preconditions import Asked
from serve.present import page_reply, reply
from serve.recommendations import RecommendationQuery, list_recommendations, of_twin
from serve.routes.words import After, Before, Cursors, Exactly, Filter, Limit, Offset, Several, known, several
from serve.schemas.base import Problem
from serve.schemas.recommendations import DeviceRecommendations, RecommendationPage
from twins.devices import PRIORITIES
from twins.recommendations import CONFIDENCES

router = guarded(tags=["recommendations"])

_REFUSALS: dict[int | str, dict[str, Any]] = {400: {"model": Problem}, 404: {"model": Problem}}

Sort = Annotated[
    str,
    Query(max_length=40, description="`urgency`, `stake` (most money first) or `due` (soonest first)"),
]


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
    if (held := asked.known(view)) is not None:
        return held
    query = RecommendationQuery(
        filter, tuple(device or ()), several(type), tuple(site or ()), tuple(failure_mode or ()),
        known(confidence, "confidence", CONFIDENCES), known(priority, "priority", PRIORITIES),
        sort, limit, after, before, offset,
    )  # fmt: skip
    page = await context.ask(
        list_recommendations, view, context.fleet.types, context.advisers, context.rules, query
    )
    return asked.answered(view, page_reply(view, page))


@router.get(
    "/api/devices/{device_id:path}/recommendations", response_model=DeviceRecommendations, responses=_REFUSALS
)
async def of_device(context: InContext, device_id: str) -> Response:
    """What to do about one device, from all that its shard knows at this moment: patterns count, alert or none."""
    twin = await context.call(context.fleet.read_twin, device_id)
    device_type, now_us = context.fleet.types[twin["type"]], context.fleet.clock.now_us()
    found = of_twin(twin, device_type, context.advisers, context.rules, now_us)
    return reply({"items": found})
