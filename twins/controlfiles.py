"""What the file of a device type says can be asked of its devices: properties and commands, the whole of the allow-list."""

import math
import re
from collections.abc import Sequence
from typing import Any, Final, cast, get_args

from twins.devices import ASKED_BY, AskedBy, DeviceCommand, Parameter, Property, ValueKind
from twins.documents import Section, unique
from twins.downlink import LONGEST_EXPIRY_S, LONGEST_TEXT
from twins.units import is_unit

MOST_PROPERTIES: Final = 64
MOST_COMMANDS: Final = 64
MOST_PARAMETERS: Final = 16

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_MOST_CHOICES: Final = 64
_FINEST: Final = 1e-9


def read_properties(root: Section) -> tuple[Property, ...]:
    """The properties that a type lists; what is wrong is reported there."""
    sections = root.sections("properties", "property")
    found = tuple(_property(section) for section in sections)
    _check_list(root, "properties", sections, [each.name for each in found], "property", MOST_PROPERTIES)
    return found


def read_commands(root: Section) -> tuple[DeviceCommand, ...]:
    """The commands that a type lists; what is wrong is reported there."""
    sections = root.sections("commands", "command")
    found = tuple(_command(section) for section in sections)
    _check_list(root, "commands", sections, [each.name for each in found], "command", MOST_COMMANDS)
    return found


def _property(section: Section) -> Property:
    expires_s = section.maybe_number("expires_s")
    if expires_s is not None:
        _check_expiry(section, expires_s)
    return Property(role=_role(section), expires_s=expires_s, **_value(section))


def _command(section: Section) -> DeviceCommand:
    parts = section.sections("parameters", "parameter")
    parameters = tuple(
        Parameter(required=part.flag("required", True), **_value(part)) for part in parts
    )  # fmt: skip
    names = [each.name for each in parameters]
    _check_list(section, "parameters", parts, names, "parameter", MOST_PARAMETERS)
    expires_s = section.number("expires_s", 300.0)
    _check_expiry(section, expires_s)
    return DeviceCommand(
        name=_name(section),
        title=section.text("title", ""),
        parameters=parameters,
        role=_role(section),
        expires_s=expires_s,
        repeatable=section.flag("repeatable", False),
    )


def _value(section: Section) -> dict[str, Any]:
    """What properties and parameters have in common."""
    kind = cast(ValueKind, section.text("kind", "number", get_args(ValueKind)))
    low, high = section.number("low", -math.inf), section.number("high", math.inf)
    resolution = section.number("resolution", 0.0)
    unit = section.text("unit", "1")
    choices = section.texts("choices")
    if kind not in ("number", "integer"):
        for key in ("unit", "low", "high", "resolution"):
            if key in section:
                section.wrong(key, f"{section.title} is of kind {kind}, which has no {key}", "leave it out")
    if kind == "integer" and resolution:
        section.wrong("resolution", f"{section.title} is an integer, its resolution is 1", "leave it out")
    if "unit" in section and not is_unit(unit):
        section.wrong("unit", f"{unit!r} is no UCUM code", 'see ucum.org: Cel for °C, kW, /min, % or "1"')
    if low >= high:
        section.wrong(
            "low", f"low {low:g} is not below high {high:g}", "give the range that can be asked for"
        )
    if resolution and not _FINEST <= resolution <= high - low:
        section.wrong(
            "resolution",
            f"resolution {resolution:g} does not fit the range",
            f"give {_FINEST:g} to its width",
        )
    if (kind == "enum") != bool(choices):
        remedy = (
            "list them: `choices: [auto, manual]`"
            if kind == "enum"
            else "say `kind: enum`, or leave them out"
        )
        section.wrong("choices", f"{section.title} is of kind {kind} and has {len(choices)} choices", remedy)
    if len(set(choices)) < len(choices) or len(choices) > _MOST_CHOICES:
        section.wrong("choices", "there are too many choices, or one twice", f"list at most {_MOST_CHOICES}")
    if any(not choice or len(choice) > LONGEST_TEXT or not choice.isprintable() for choice in choices):
        section.wrong(
            "choices", "a choice is empty, too long or cannot be read", f"use 1 to {LONGEST_TEXT} characters"
        )
    return {
        "name": _name(section), "kind": kind, "title": section.text("title", ""), "unit": unit, "low": low,
        "high": high, "resolution": resolution, "choices": choices,
    }  # fmt: skip


def _name(section: Section) -> str:
    name = section.text("name")
    if "name" in section and not _NAME.fullmatch(name):
        section.wrong("name", f"{name!r} cannot be a name here", "write it like 'speed_setpoint'")
    return name


def _role(section: Section) -> AskedBy:
    return cast(AskedBy, section.text("role", "operator", ASKED_BY))


def _check_expiry(section: Section, expires_s: float) -> None:
    if not 0 < expires_s <= LONGEST_EXPIRY_S:
        section.wrong(
            "expires_s",
            f"expires_s is {expires_s:g}",
            f"give seconds above 0, at most {LONGEST_EXPIRY_S:.0f}",
        )


def _check_list(
    root: Section, key: str, sections: Sequence[Section], names: Sequence[str], noun: str, most: int
) -> None:
    unique(sections, names, noun)
    if len(names) > most:
        root.wrong(key, f"{len(names)} {key}", f"at most {most} are taken")
