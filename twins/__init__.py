"""The domain: devices, their state and what it means. Knows no HTTP, history or settings.

The public names are found here when they are first asked for, so that importing one small module, as every command does,
does not load the compiled kernels.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twins.clock import VirtualClock, WallClock
    from twins.devices import AlertRule, Channel, Device, DeviceType
    from twins.errors import FleetError
    from twins.fleet import Fleet, FleetConfig, LocalFleet, Twin, WriteResult
    from twins.readings import ReadingBatch

_HOMES = {
    "clock": ("VirtualClock", "WallClock"),
    "devices": ("AlertRule", "Channel", "Device", "DeviceType"),
    "errors": ("FleetError",),
    "fleet": ("Fleet", "FleetConfig", "LocalFleet", "Twin", "WriteResult"),
    "readings": ("ReadingBatch",),
}

__all__ = [
    "AlertRule",
    "Channel",
    "Device",
    "DeviceType",
    "Fleet",
    "FleetConfig",
    "FleetError",
    "LocalFleet",
    "ReadingBatch",
    "Twin",
    "VirtualClock",
    "WallClock",
    "WriteResult",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"twins.{home}"), name)
    raise AttributeError(f"module 'twins' has no attribute {name!r}")
