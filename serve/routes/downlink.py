"""What is asked of devices: desired properties, commands, and what became of them."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path, Response

from serve.access import Caller
from serve.asked import command_item, command_items, properties
from serve.context import CommandId, Context, InContext, Who
from serve.errors import RevisionConflictError
from serve.gate import guarded
from serve.preconditions import Match, expected, revised
from serve.present import reply
from serve.schemas.base import Problem
from serve.schemas.devices import Done
from serve.schemas.downlink import (
    CancelCommand,
    CommandList,
    CommandSent,
    Properties,
    PropertiesSet,
    SendCommand,
    SetProperties,
)
from twins import commands as c
from twins.devices import DeviceType
from twins.errors import CommandRefusedError, VersionConflictError

router = guarded(prefix="/api/devices", tags=["devices"])

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (403, 404, 409, 412, 422, 428, 429, 503, 507)
}
_Number = Annotated[int, Path(ge=1, le=2**53)]


@router.get("/{device_id:path}/properties", response_model=Properties, responses={404: {"model": Problem}})
async def read_properties(context: InContext, device_id: str) -> Response:
    """What each property shall be, by whom and since when, and what the device reports that it is."""
    twin, device_type = await _twin(context, device_id)
    return revised(properties(twin, device_type), twin["desired_version"])


@router.patch("/{device_id:path}/properties", response_model=PropertiesSet, responses=_REFUSALS)
async def set_properties(
    context: InContext,
    who: Who,
    command_id: CommandId,
    device_id: str,
    body: SetProperties,
    if_match: Match = None,
) -> Response:
    """Ask a device to be otherwise: all of it is taken, or none. Done it is when the device reports it."""
    command = c.SetDesired(
        command_id=command_id, by=who.name, device_id=device_id, values=body.properties, role=who.role or "",
        version=expected(if_match), expires_s=body.expires_s, note=body.note,
    )  # fmt: skip
    try:
        cursors = await context.call(context.fleet.command, command)
    except VersionConflictError as error:
        raise RevisionConflictError(*error.args) from None
    twin, device_type = await _twin(context, device_id)
    asked = {**properties(twin, device_type), "cursor": context.cursor_at(cursors)}
    return revised(asked, twin["desired_version"])


@router.get("/{device_id:path}/commands", response_model=CommandList, responses={404: {"model": Problem}})
async def read_commands(context: InContext, device_id: str) -> Response:
    """The commands to a device that are open, and the last that have ended."""
    twin, _ = await _twin(context, device_id)
    return reply({"items": command_items(twin)})


@router.post("/{device_id:path}/commands", response_model=CommandSent, status_code=201, responses=_REFUSALS)
async def send_command(
    context: InContext, who: Who, command_id: CommandId, device_id: str, body: SendCommand
) -> Response:
    """Ask a device to do something. It goes down when the device is there, and is done when the device says so."""
    command = sending(body, device_id, who, command_id)
    cursors = await context.call(context.fleet.command, command)
    twin, _ = await _twin(context, device_id)
    sent = next((each for each in twin["commands"] if each["command_id"] == command_id), None)
    if sent is None:
        reason = "it was asked before under this key, and has ended too long ago to be shown"
        raise CommandRefusedError("send a command to", device_id, reason)
    return reply({"command": command_item(sent), "cursor": context.cursor_at(cursors)}, 201)


@router.post("/{device_id:path}/commands/{number}/cancel", response_model=Done, responses=_REFUSALS)
async def cancel_command(
    context: InContext,
    who: Who,
    command_id: CommandId,
    device_id: str,
    number: _Number,
    body: CancelCommand | None = None,
) -> Response:
    """Ask no longer. What was handed over already may be done all the same; its result is still taken."""
    command = c.CancelCommand(
        command_id=command_id, by=who.name, device_id=device_id, number=number, role=who.role or "",
        note=body.note if body is not None else "",
    )  # fmt: skip
    return reply({"cursor": context.cursor_at(await context.call(context.fleet.command, command))})


def sending(body: SendCommand, device_id: str, who: Caller, command_id: str) -> c.SendCommand:
    """The command that ``body`` asks for."""
    return c.SendCommand(
        command_id=command_id, by=who.name, device_id=device_id, name=body.command, parameters=body.parameters,
        role=who.role or "", expires_s=body.expires_s, note=body.note,
    )  # fmt: skip


async def _twin(context: Context, device_id: str) -> tuple[Mapping[str, Any], DeviceType]:
    twin = await context.call(context.fleet.read_twin, device_id)
    return twin, context.fleet.types[twin["type"]]
