"""What people and programs ask of a fleet: frozen values that go through the journal.

A command names what it is about by id and says who asks. It is remembered by its ``command_id`` for a day, so that asking
twice does it once. What became of it is events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from twins.devices import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What every command carries: its own id, chosen by who sends it, and who that is."""

    command_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallType(Command):
    """Put a version of a device type in force; devices keep their state, rules keep theirs by name."""

    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterDevices(Command):
    """Give devices of one type a twin each."""

    device_type: str
    devices: tuple[Device, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateDevice(Command):
    """Change what is said of a device: site, parent, name, labels."""

    device: Device


@dataclass(frozen=True, slots=True, kw_only=True)
class EndImport(Command):
    """The past of these devices has been told: from now on they live on the platform's clock, or are ``retired``.

    Devices that are not being imported stay as they are.
    """

    device_ids: tuple[str, ...]
    retired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireDevice(Command):
    """Take a device out of the living fleet; its history stays, its id is not used again."""

    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMaintenance(Command):
    """What was done to a device, or what was found: it opens a new life-cycle as its action says."""

    device_id: str
    kind: Literal["failure", "repair", "replacement", "inspection"]
    action: str | None = None
    failure_mode: str | None = None
    at_us: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectMaintenance(Command):
    """What a maintenance record should have said, all of it anew; or that it should not be, if it is ``withdrawn``.

    The record itself stays, and so does what it did to the twin.
    """

    device_id: str
    record: str
    kind: Literal["failure", "repair", "replacement", "inspection"]
    action: str | None = None
    failure_mode: str | None = None
    at_us: int | None = None
    note: str = ""
    reason: str = ""
    withdrawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkParents(Command):
    """Say that these devices have children, who want to know of their state; sent by the fleet itself."""

    device_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetParentState(Command):
    """Tell the children of a device what state it is in; sent by the fleet itself."""

    parent_id: str
    flags: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCommand(Command):
    """Something asked of one alert: the rule of one device, and the occurrence that the person saw."""

    device_id: str
    rule: str
    occurrence: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeAlert(AlertCommand):
    """Seen, and somebody is on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetAlert(AlertCommand):
    """Let a latched alert go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelveAlert(AlertCommand):
    """Put aside for ``duration_s``; None: until it next returns to normal (one-shot)."""

    duration_s: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnshelveAlert(AlertCommand):
    """Take back from the shelf."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppressAlert(AlertCommand):
    """Suppress by design, by hand."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsuppressAlert(AlertCommand):
    """End a suppression by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFromService(AlertCommand):
    """Take the rule of this device out of service, for maintenance of the alert itself."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnToService(AlertCommand):
    """Put it back into service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignAlert(AlertCommand):
    """Hand it to somebody; an empty assignee takes it back."""

    assignee: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentAlert(AlertCommand):
    """Say something about it, in ``note``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownlinkCommand(Command):
    """Something about what is asked of one device, or what that says to it."""

    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDesired(DownlinkCommand):
    """Ask a device to be otherwise: properties and the values they shall have, None: nothing is asked of it any more.

    ``role`` is that of who asks; ``version`` the one that this is a change of, None: any. Without ``expires_s``, as the
    type says.
    """

    values: Mapping[str, Any]
    role: str
    version: int | None = None
    expires_s: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendCommand(DownlinkCommand):
    """Ask a device to do what its type calls ``name``; ``role`` and ``expires_s`` as above."""

    name: str
    parameters: Mapping[str, Any]
    role: str
    expires_s: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCommand(DownlinkCommand):
    """Ask no longer for what command ``number`` of the device asked; ``role`` as above."""

    number: int
    role: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(DownlinkCommand):
    """What comes up from a device or its link. Told twice it says nothing new, so its id is not remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportProperties(Report):
    """How a device says that it is: ``version`` is its own count, ``at_us`` its own time, None: now.

    ``rejected`` are properties for which it does not take the desired value, with the reason; ``desired_version`` is the
    version that it answers to, None: whichever stands.
    """

    values: Mapping[str, Any]
    version: int | None = None
    at_us: int | None = None
    rejected: Mapping[str, str]
    desired_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDelivery(Report):
    """Command ``number`` is about to be handed to the device over ``link``; said before it is, so that it is once."""

    number: int
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportResult(Report):
    """What the device says of command ``number``: ``ok``, and a result or reason."""

    number: int
    ok: bool
    result: str = ""


COMMANDS: Final[Mapping[str, type[Command]]] = {
    cls.__name__: cls
    for cls in (
        InstallType,
        RegisterDevices,
        UpdateDevice,
        EndImport,
        RetireDevice,
        RecordMaintenance,
        CorrectMaintenance,
        MarkParents,
        SetParentState,
        AcknowledgeAlert,
        ResetAlert,
        ShelveAlert,
        UnshelveAlert,
        SuppressAlert,
        UnsuppressAlert,
        RemoveFromService,
        ReturnToService,
        AssignAlert,
        CommentAlert,
        SetDesired,
        SendCommand,
        CancelCommand,
        ReportProperties,
        ReportDelivery,
        ReportResult,
    )
}
"""Every command by the name under which the journal keeps it."""


def to_body(command: Command) -> dict[str, Any]:
    """The fields of a command as JSON values."""
    body: dict[str, Any] = {}
    for item in fields(command):
        value = getattr(command, item.name)
        if isinstance(value, Device):
            value = device_to_json(value)
        elif isinstance(value, tuple):
            value = [device_to_json(each) if isinstance(each, Device) else each for each in value]
        elif isinstance(value, Mapping):
            value = dict(value)
        body[item.name] = value
    return body


def from_body(name: str, body: Mapping[str, Any]) -> Command:
    """The command that ``to_body`` was given."""
    values = dict(body)
    if "devices" in values:
        values["devices"] = tuple(Device(**each) for each in values["devices"])
    if "device_ids" in values:
        values["device_ids"] = tuple(values["device_ids"])
    if "device" in values:
        values["device"] = Device(**values["device"])
    return COMMANDS[name](**values)


def device_to_json(device: Device) -> dict[str, Any]:
    """A device's fields, leaving out what is at its default."""
    said: dict[str, Any] = {"id": device.id, "device_type": device.device_type}
    for name, default in _DEFAULTS:
        value = getattr(device, name)
        if value != default:
            said[name] = dict(value) if name == "labels" else value
    return said


_DEFAULTS: Final = [
    (item.name, getattr(Device("", ""), item.name))
    for item in fields(Device)
    if item.name not in ("id", "device_type")
]
