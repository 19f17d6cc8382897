"""The whole fleet at a glance."""

import base64
from typing import Annotated, Any

from fastapi import Query, Response

from serve.context import Context, InContext
from serve.gate import guarded
from serve.lists import device_items
from serve.live import View
from serve.preconditions import Asked
from serve.present import as_of, device_item, reply
from serve.problems import problem
from serve.routes.words import Cursors
from serve.schemas.base import Problem
from serve.schemas.devices import DeviceItem
from serve.schemas.fleet import FleetMap, FleetSummary

router = guarded(prefix="/api/fleet", tags=["fleet"])


@router.get("/summary", response_model=FleetSummary)
async def summary(context: InContext, asked: Asked, cursors: Cursors = None) -> Response:
    """Counts over the whole fleet."""
    view = await context.view(*cursors or ())
    if (known := asked.known(view)) is not None:
        return known
    counts = await context.ask(context.overview.summary, view)
    return asked.answered(view, reply({"as_of": as_of(view), **counts}))


@router.get("/map", response_model=FleetMap)
async def fleet_map(context: InContext, asked: Asked) -> Response:
    """Every device as one byte, in the order site, type, id."""
    view = await context.view()
    if (known := asked.known(view)) is not None:
        return known
    return asked.answered(view, reply(await context.ask(_map, context, view)))


@router.get("/map/cell", response_model=DeviceItem, responses={404: {"model": Problem}})
async def cell(context: InContext, site: str, index: Annotated[int, Query(ge=0)]) -> Response:
    """The device behind one byte of the map."""
    item = await context.ask(_cell, context, context.live.view, site, index)
    if item is None:
        detail = f"site {site!r} has no device number {index}; fetch the map again"
        return problem(404, "map.no_such_cell", "The map has no such place", detail)
    return reply(item)


def _map(context: Context, view: View) -> dict[str, Any]:
    sites = [
        {
            "site": each.site,
            "count": len(each.cells),
            "cells": base64.b64encode(each.cells.tobytes()).decode(),
        }
        for each in context.overview.map(view)
    ]
    return {"as_of": as_of(view), "order": "site,type,id", "sites": sites}


def _cell(context: Context, view: View, site: str, index: int) -> dict[str, Any] | None:
    place = context.overview.place(view, site, index)
    return None if place is None else device_item(device_items(view, [place])[0])
