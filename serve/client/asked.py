"""What is asked of devices: properties that they shall have, commands, and what became of these."""

from collections.abc import Mapping
from typing import Any

from serve.client.connection import Connection, Revision, in_path
from serve.schemas.devices import Done
from serve.schemas.downlink import (
    CancelCommand,
    CommandItem,
    CommandList,
    CommandSent,
    Properties,
    PropertiesSet,
    SendCommand,
    SetProperties,
)


class Asked:
    """What can be asked of devices, as their types allow."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    def properties(self, device_id: str) -> Properties:
        """What each property of a device shall be, and what it is reported to be."""
        return self._ask.get(Properties, _of(device_id, "properties"))

    def set(
        self,
        device_id: str,
        properties: Mapping[str, Any],
        revision: Revision = "*",
        expires_s: float | None = None,
        note: str = "",
    ) -> PropertiesSet:
        """Ask a device to be otherwise, None taking a wish back; with ``revision``, only if nobody has since that one."""
        body = SetProperties(properties=dict(properties), expires_s=expires_s, note=note)
        return self._ask.send(PropertiesSet, "PATCH", _of(device_id, "properties"), body, revision)

    def commands(self, device_id: str) -> list[CommandItem]:
        """Commands to a device that are open, and the last that have ended, the newest first."""
        return self._ask.get(CommandList, _of(device_id, "commands")).items

    def send(
        self,
        device_id: str,
        command: str,
        parameters: Mapping[str, Any] | None = None,
        expires_s: float | None = None,
        note: str = "",
        key: str | None = None,
    ) -> CommandItem:
        """Ask a device to do something; it is done when the device says so."""
        body = SendCommand(command=command, parameters=dict(parameters or {}), expires_s=expires_s, note=note)
        return self._ask.command(CommandSent, "POST", _of(device_id, "commands"), body, key).command

    def cancel(self, device_id: str, number: int, note: str = "", key: str | None = None) -> Done:
        """Ask no longer for what a command asked."""
        path = _of(device_id, f"commands/{number}/cancel")
        return self._ask.command(Done, "POST", path, CancelCommand(note=note), key)


def _of(device_id: str, what: str) -> str:
    return f"/api/devices/{in_path(device_id)}/{what}"
