"""Which commands to alerts must say why, by the alert's priority. The house says which, not the rule."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from serve.config import NotesConfig
from serve.errors import NoteNeededError
from twins import commands as c
from twins.devices import DeviceType
from twins.errors import DegradedError, FleetError
from twins.fleet import Fleet


def check_notes(
    commands: Sequence[c.AlertCommand], fleet: Fleet, config: NotesConfig
) -> list[FleetError | None]:
    """What each command is refused with; None: nothing is in its way. Asks the fleet, so it may take its time.

    NoteNeededError for one with neither a note nor a reason whose alert has a priority that takes one, DegradedError where
    that cannot be known at present. One to an alert that is not known passes: the fleet answers it.
    """
    taking = [_taking(command, config) for command in commands]
    silent = {each.device_id: None for each, priorities in zip(commands, taking, strict=True) if priorities}
    types, is_sure = _types_of(silent, fleet) if silent else ({}, True)
    return [
        _refusal(command, priorities, types.get(command.device_id), is_sure) if priorities else None
        for command, priorities in zip(commands, taking, strict=True)
    ]


def _taking(command: c.AlertCommand, config: NotesConfig) -> tuple[str, ...]:
    """The priorities at which a command may not go as it is."""
    if f"{command.note}{getattr(command, 'reason', '')}".strip():
        return ()
    match command:
        case c.AcknowledgeAlert():
            return config.acknowledge
        case c.ResetAlert():
            return config.reset
        case c.ShelveAlert():
            return config.shelve
        case c.SuppressAlert() | c.RemoveFromService():
            return config.suppress
    return ()


def _types_of(device_ids: Iterable[str], fleet: Fleet) -> tuple[dict[str, DeviceType], bool]:
    """The types of the devices that are known, and whether it is sure that there are no others of these ids."""
    ids = pa.array(device_ids, pa.string())
    places = fleet.locate(ids)
    found = zip(ids.to_pylist(), places.type_code.tolist(), strict=True)
    return {each: fleet.types[places.types[code]] for each, code in found if code >= 0}, places.is_sure


def _refusal(
    command: c.AlertCommand, priorities: Sequence[str], device_type: DeviceType | None, is_sure: bool
) -> FleetError | None:
    if device_type is None:
        why = f"whether alerts of {command.device_id!r} take a note cannot be known at present"
        return None if is_sure else DegradedError(why)
    priority = next((rule.priority for rule in device_type.rules if rule.name == command.rule), "")
    return NoteNeededError(command.device_id, command.rule, priority) if priority in priorities else None
