"""The device types in force."""

import math
from typing import Any

from fastapi import APIRouter, Response

from serve.context import InContext
from serve.present import reply
from serve.schemas import TypeInfo
from twins.devices import DeviceType

router = APIRouter(tags=["device types"])


@router.get("/api/types", response_model=list[TypeInfo])
async def types(context: InContext) -> Response:
    """Channels, rules, failure modes and maintenance actions of every type, by name."""
    return reply([_shown(device_type) for _, device_type in sorted(context.fleet.types.items())])


def _shown(device_type: DeviceType) -> dict[str, Any]:
    return {
        "name": device_type.name,
        "version": device_type.version,
        "title": device_type.title or device_type.name,
        "description": device_type.description,
        "interval_s": device_type.interval_s,
        "channels": [
            {
                "name": channel.name,
                "title": channel.title or channel.name,
                "unit": channel.unit,
                "kind": channel.kind,
                "low": _bound(channel.low),
                "high": _bound(channel.high),
                "resolution": channel.resolution,
                "condition": channel.condition,
            }
            for channel in device_type.channels
        ],
        "rules": [
            {
                "name": rule.name,
                "title": rule.title or rule.name,
                "when": rule.when,
                "priority": rule.priority,
                "consequence": rule.consequence,
                "response": rule.response,
                "latch": rule.latch,
            }
            for rule in device_type.rules
        ],
        "failure_modes": [
            {"name": mode.name, "title": mode.title or mode.name} for mode in device_type.failure_modes
        ],
        "actions": [
            {
                "name": action.name,
                "title": action.title or action.name,
                "kind": action.kind,
                "cost": action.cost,
                "duration_h": action.duration_h,
            }
            for action in device_type.actions
        ],
    }


def _bound(limit: float) -> float | None:
    return limit if math.isfinite(limit) else None
