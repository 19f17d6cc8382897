"""One thing asked of many devices: of those named, or of all that match."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
from fastapi import Response

from serve.access import NEEDED, Caller, check
from serve.context import CommandId, Context, InContext, Who
from serve.gate import guarded
from serve.lists import count_devices, devices_matching
from serve.many import check_expected, check_number, many_counted, many_done
from serve.present import reply
from serve.routes.downlink import sending
from serve.routes.maintenance import recording
from serve.schemas.base import Problem
from serve.schemas.device_commands import (
    DeviceAct,
    DeviceCommands,
    DevicesDone,
    MaintenanceAct,
    SendAct,
)
from twins import commands as c
from twins.fleet import Fleet

router = guarded(prefix="/api/devices", tags=["devices"])

_TO_ONE: Final[Mapping[str, str]] = {
    "maintenance": "POST /api/devices/{device_id:path}/maintenance",
    "send": "POST /api/devices/{device_id:path}/commands",
    "retire": "DELETE /api/devices/{device_id:path}",
}
"""The route that does the same to one device; whoever may ask for that may ask for this."""

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 403, 422, 429, 503, 507)
}


@router.post("/commands", response_model=DevicesDone, responses=_REFUSALS)
async def command_many(context: InContext, who: Who, command_id: CommandId, body: DeviceCommands) -> Response:
    """Ask one thing of many devices; one that is refused costs no other. With ``dry_run`` they are only counted."""
    if body.act is not None:
        need, _ = NEEDED[_TO_ONE[body.act.type]]
        check(need, who)
    matched, by_type, ids = await _wanted(context, body)
    if body.dry_run or body.act is None or not matched:
        return reply({**many_counted(matched), "by_type": by_type})
    check_expected("devices", matched, body.expected)
    commands = [_command(body.act, each, who, f"{command_id}#{each}") for each in ids]
    result = await context.call(context.fleet.command_many, commands)
    refused = [(each, why) for each, why in zip(ids, result.refused, strict=True) if why is not None]
    cursor = context.cursor_at(result.cursors) if result.cursors else None
    return reply({**many_done("device", matched, refused, cursor), "by_type": by_type})


def _command(
    act: DeviceAct, device_id: str, who: Caller, command_id: str
) -> c.RecordMaintenance | c.SendCommand | c.RetireDevice:
    match act:
        case MaintenanceAct():
            return recording(act, device_id, who, command_id)
        case SendAct():
            return sending(act, device_id, who, command_id)
    return c.RetireDevice(command_id=command_id, by=who.name, device_id=device_id)


async def _wanted(context: Context, body: DeviceCommands) -> tuple[int, dict[str, int], list[str]]:
    """How many devices a request is about, how many of each type, and each once; only to count, those that match are not
    named.
    """
    if body.devices is not None:
        ids = list(dict.fromkeys(body.devices))
        return len(ids), await context.call(_count_named, context.fleet, ids), ids
    assert body.matching is not None
    which = (await context.view(), context.fleet.types, body.matching.filter, body.matching.q)
    by_type = await context.ask(count_devices, *which)
    matched = sum(by_type.values())
    check_number("devices", matched)
    if body.dry_run:
        return matched, by_type, []
    found = await context.ask(devices_matching, *which)
    return matched, by_type, sorted(found.to_pylist())


def _count_named(fleet: Fleet, ids: Sequence[str]) -> dict[str, int]:
    """How many of these devices are of which type."""
    places = fleet.locate(pa.array(ids, pa.string()))
    return dict(Counter(places.types[code] for code in places.type_code.tolist() if code >= 0))
