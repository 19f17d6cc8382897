"""Devices: list, one, register, retire."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import AwareDatetime

from serve.asked import device_asked
from serve.context import CommandId, Context, InContext, User
from serve.errors import RangeError
from serve.gate import guarded
from serve.lists import DeviceQuery, list_devices
from serve.preconditions import Asked
from serve.present import device_detail, device_page, reply
from serve.routes.words import After, Before, Cursors, Filter, Limit, Offset
from serve.schemas.base import Problem
from serve.schemas.devices import DeviceDetail, DevicePage, Done, NewDevices, Registered
from twins import commands as c
from twins.devices import Device, DeviceType

router = guarded(prefix="/api/devices", tags=["devices"])

_REFUSALS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem},
    409: {"model": Problem},
    429: {"model": Problem},
    503: {"model": Problem},
    507: {"model": Problem},
}


@router.get("", response_model=DevicePage, responses={400: {"model": Problem}})
async def devices(
    context: InContext,
    asked: Asked,
    filter: Filter = "",  # noqa: A002
    q: Annotated[str, Query(max_length=200, description="part of an id or name")] = "",
    sort: Annotated[str, Query(max_length=40, description="a key, `-` before it for descending")] = "id",
    limit: Limit = 50,
    after: After = None,
    before: Before = None,
    offset: Offset = None,
    cursors: Cursors = None,
) -> Response:
    """One page of the fleet, from the live table."""
    view = await context.view(*cursors or ())
    if (known := asked.known(view)) is not None:
        return known
    query = DeviceQuery(filter, q, sort, limit, after, before, offset)
    page = await context.ask(list_devices, view, context.fleet.types, query, context.ranks)
    return asked.answered(view, reply(device_page(view, page)))


@router.post("", response_model=Registered, status_code=201, responses=_REFUSALS)
async def register(context: InContext, by: User, command_id: CommandId, body: NewDevices) -> Response:
    """Give devices a twin each; all of them, or none. With an ``Idempotency-Key``, sending it again repeats nothing."""
    wanted = [
        Device(
            id=each.id,
            device_type=each.type,
            site=each.site,
            parent=each.parent,
            name=each.name,
            labels=each.labels,
            interval_s=each.interval_s,
            placement=each.placement,
        )
        for each in body.devices
    ]
    cursors = await context.call(context.fleet.register, wanted, by, command_id)
    return reply({"registered": len(wanted), "cursor": context.cursor_at(cursors)}, 201)


@router.delete("/{device_id:path}", response_model=Done, responses=_REFUSALS)
async def retire(context: InContext, by: User, command_id: CommandId, device_id: str) -> Response:
    """Take a device out of the living fleet; its history stays and its id is not used again."""
    command = c.RetireDevice(command_id=command_id, by=by, device_id=device_id)
    return reply({"cursor": context.cursor_at(await context.call(context.fleet.command, command))})


@router.get("/{device_id:path}", response_model=DeviceDetail, responses={404: {"model": Problem}})
async def device(
    context: InContext,
    device_id: str,
    at: Annotated[AwareDatetime | None, Query(description="as of this past moment; none: now")] = None,
) -> Response:
    """Everything its shard knows of one device, at this moment or as it was at a past one."""
    if at is not None:
        twin, device_type = await context.rebuild(_as_of, context, device_id, at)
    else:
        twin = await context.call(context.fleet.read_twin, device_id)
        device_type = context.fleet.types[twin["type"]]
    return reply({**device_detail(twin, device_type, context.rules), **device_asked(twin, device_type)})


def _as_of(context: Context, device_id: str, at: datetime) -> tuple[dict[str, Any], DeviceType]:
    at_us = round(at.timestamp() * 1e6)
    if at_us > context.fleet.clock.now_us():
        raise RangeError(f"{at.isoformat()} is yet to come", "leave `at` out to see the device as it is now")
    return context.history.past().twin(device_id, at_us)
