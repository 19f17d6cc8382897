"""How what is asked of devices reads outside: types' allow-lists, desired against reported, commands."""

import math
from collections.abc import Mapping
from typing import Any

from serve.present import iso
from twins.devices import DeviceCommand, DeviceType, Parameter, Property
from twins.downlink import OPEN


def property_info(spec: Property) -> dict[str, Any]:
    """A property as its type declares it."""
    return {**_value_info(spec), "role": spec.role, "expires_s": spec.expires_s}


def command_info(spec: DeviceCommand) -> dict[str, Any]:
    """A command as its type declares it."""
    return {
        "name": spec.name,
        "title": spec.title or spec.name,
        "role": spec.role,
        "expires_s": spec.expires_s,
        "repeatable": spec.repeatable,
        "parameters": [{**_value_info(each), "required": each.required} for each in spec.parameters],
    }


def property_states(twin: Mapping[str, Any], device_type: DeviceType) -> list[dict[str, Any]]:
    """The properties of a device, as ``Fleet.read_twin`` has them."""
    return [
        {
            **property_info(spec),
            "standing": state["standing"],
            "desired": _desired(state["desired"]),
            "reported": _reported(state["reported"]),
        }
        for spec in device_type.properties
        if (state := twin["properties"].get(spec.name)) is not None
    ]


def device_asked(twin: Mapping[str, Any], device_type: DeviceType) -> dict[str, Any]:
    """What the page of a device tells of it."""
    return {
        "properties": property_states(twin, device_type),
        "open_commands": sum(order["state"] in OPEN for order in twin["commands"]),
    }


def properties(twin: Mapping[str, Any], device_type: DeviceType) -> dict[str, Any]:
    """All properties of a device as a reply."""
    return {
        "device_id": twin["id"],
        "version": twin["desired_version"],
        "items": property_states(twin, device_type),
    }


def command_item(order: Mapping[str, Any]) -> dict[str, Any]:
    """A command as JSON values."""
    return {
        "number": order["number"],
        "command": order["name"],
        "parameters": dict(order["parameters"]),
        "state": order["state"],
        "by": order["by"],
        "at": iso(order["at_us"]),
        "expires_at": iso(order["until_us"]),
        "repeatable": order["repeatable"],
        "delivered_at": iso(order["delivered_us"]),
        "ended_at": iso(order["ended_us"]),
        "result": order["result"],
        "note": order["note"],
    }


def command_items(twin: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The commands of a device, the newest first."""
    return [command_item(order) for order in reversed(twin["commands"])]


def _value_info(spec: Property | Parameter) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title or spec.name,
        "kind": spec.kind,
        "unit": spec.unit,
        "low": spec.low if math.isfinite(spec.low) else None,
        "high": spec.high if math.isfinite(spec.high) else None,
        "resolution": spec.resolution,
        "choices": list(spec.choices),
    }


def _desired(wanted: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if wanted is None:
        return None
    return {
        "value": wanted["value"],
        "version": wanted["version"],
        "by": wanted["by"],
        "at": iso(wanted["at_us"]),
        "expires_at": iso(wanted["until_us"]),
        "note": wanted["note"],
        "rejected": wanted["rejected"],
    }


def _reported(said: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return (
        None
        if said is None
        else {"value": said["value"], "version": said["version"], "at": iso(said["at_us"])}
    )
