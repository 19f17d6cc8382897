"""Devices and their types: frozen values, no arrays.

A device type is data: ``twins/catalog/<type>.yaml`` or a file of the user's. This module holds the values;
reading the files is ``typefiles.py``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

ChannelKind = Literal["gauge", "counter", "state", "flag"]
Priority = Literal["critical", "high", "medium", "low"]
ParentState = Literal["stale", "alert", "out_of_service"]
ValueKind = Literal["number", "integer", "boolean", "string", "enum"]
AskedBy = Literal["operator", "engineer", "admin", "nobody"]

PRIORITIES: Final[tuple[Priority, ...]] = ("critical", "high", "medium", "low")
"""From the most to the least urgent; their index is how arrays hold them."""

ASKED_BY: Final[tuple[AskedBy, ...]] = ("operator", "engineer", "admin", "nobody")
"""The least role that may ask something of a device, from the many to the few."""

MAX_LOAD: Final = 1.5
"""The highest load, as a share of the rating, that a device can be asked for."""


@dataclass(frozen=True, slots=True)
class Response:
    """How a healthy channel answers to what the device is asked to do.

    ``value = base + load_gain · load ** load_exponent + ambient_gain · ambient``, reached with time constant
    ``tau_s``, plus noise of standard deviation ``noise``. Load is a fraction (0 idle, 1 rated), ambient is °C
    away from ``ambient_reference_c``. A ``curve`` of (load, value) points, straight between them and level
    beyond, takes the place of the first two terms. ``spread`` is the standard deviation from device to device
    of a constant offset.

    For a counter the value is its rate per hour; a flag is up where the value is above one half; a state is
    rounded.
    """

    base: float = 0.0
    load_gain: float = 0.0
    load_exponent: float = 1.0
    ambient_gain: float = 0.0
    tau_s: float = 0.0
    noise: float = 0.0
    spread: float = 0.0
    curve: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Channel:
    """A named quantity that the device reports.

    ``low`` and ``high`` bound what is physically possible: outside, a reading is BAD. A resolution of zero
    keeps every digit. ``condition`` channels say what the device is asked to do; they explain the others and
    are never held against it.
    """

    name: str
    unit: str  # UCUM
    kind: ChannelKind = "gauge"
    title: str = ""
    low: float = -math.inf
    high: float = math.inf
    resolution: float = 0.0
    dtype: Literal["float32", "float64"] = "float32"
    condition: bool = False
    response: Response = field(default_factory=Response)


@dataclass(frozen=True, slots=True)
class OperatingCondition:
    """A channel that tells operating regimes apart: ``edges`` cut its range into one more of them."""

    channel: str
    edges: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """The mark of full damage (1.0) on a channel: value moved by ``shift``, noise times ``noise_factor``.

    The mark grows as ``damage ** exponent``. With ``per_load`` the shift is that at rated load, and
    proportional to load.
    """

    channel: str
    shift: float = 0.0
    noise_factor: float = 1.0
    exponent: float = 1.0
    per_load: bool = False


@dataclass(frozen=True, slots=True)
class FailureMode:
    """How a device wears out: damage 0 (new) to 1 (failed).

    ::

        d(damage)/dt = rate_per_h · scatter · load ** load_exponent · exp(ambient_per_k · ambient)
                       · max(damage, seed) ** growth_exponent

    where scatter is drawn once a life-cycle, lognormal with standard deviation ``scatter`` of the logarithm,
    median 1, and ambient is °C away from the type's reference. With a ``shape`` above 0 lives are Weibull instead: the
    scatter of a life is 1 / (−ln u) ** (1 / shape), and ``rate_per_h`` that of the characteristic life; shape 1 is a
    failure without memory.
    """

    name: str
    title: str = ""
    rate_per_h: float = 0.0
    growth_exponent: float = 0.0
    load_exponent: float = 0.0
    ambient_per_k: float = 0.0
    scatter: float = 0.0
    shape: float = 0.0
    effects: tuple[Effect, ...] = ()
    source: str = ""
    seed: float = 0.01


@dataclass(frozen=True, slots=True)
class AlertRule:
    """When an alert stands, and what it asks of whom.

    ``when`` is a condition in the filter grammar (``vibration > 7.1 and health < 60``). ``deadband`` is per
    channel or indicator named in ``when``. Delays are in seconds of event time; None: the type's default, in
    nominal intervals.
    """

    name: str
    when: str
    priority: Priority
    consequence: str
    response: str
    title: str = ""
    deadband: Mapping[str, float] = field(default_factory=dict)
    on_delay_s: float | None = None
    off_delay_s: float | None = None
    latch: bool = False
    suppressed_by: tuple[ParentState, ...] = ()


@dataclass(frozen=True, slots=True)
class MaintenanceAction:
    """What people can do to a device, what it costs, and what it makes good.

    ``resets`` maps failure modes to the share of damage that goes away (1: all; key ``"*"``: every mode).
    ``relearn`` starts a new baseline, as after a replacement. Cost is in the fleet's currency.
    """

    name: str
    title: str = ""
    kind: Literal["inspection", "repair", "replacement"] = "repair"
    cost: float = 0.0
    duration_h: float = 0.0
    crew: int = 1
    spares: Mapping[str, int] = field(default_factory=dict)
    resets: Mapping[str, float] = field(default_factory=dict)
    relearn: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that goes along with a command to a device.

    ``unit`` (UCUM), ``low``, ``high`` and ``resolution`` are for numbers, ``choices`` are those of an enum.
    """

    name: str
    kind: ValueKind = "number"
    title: str = ""
    unit: str = "1"
    low: float = -math.inf
    high: float = math.inf
    resolution: float = 0.0
    choices: tuple[str, ...] = ()
    required: bool = True


@dataclass(frozen=True, slots=True)
class Property:
    """What a device can be asked to be, and reports that it is: a setpoint, a mode.

    ``role`` is the least that may ask for a value; ``nobody``: the device only reports it. A desired value that is not
    reported back within ``expires_s`` is withdrawn; None: it stands until it is.
    """

    name: str
    kind: ValueKind = "number"
    title: str = ""
    unit: str = "1"
    low: float = -math.inf
    high: float = math.inf
    resolution: float = 0.0
    choices: tuple[str, ...] = ()
    role: AskedBy = "operator"
    expires_s: float | None = None


@dataclass(frozen=True, slots=True)
class DeviceCommand:
    """What a device can be asked to do. Not done within ``expires_s``, it is not to be done any more.

    One that is ``repeatable`` may be handed to the device again until it answers; any other is handed over once.
    """

    name: str
    title: str = ""
    parameters: tuple[Parameter, ...] = ()
    role: AskedBy = "operator"
    expires_s: float = 300.0
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """What devices of a type are asked to do, as a fraction of their rating: for the simulator and for forks.

    The plan of the week is ``mean + daily · cos(2π · (hour − peak_hour) / 24)``, times ``weekend`` on
    Saturday and Sunday (hours UTC). A device has a factor of its own, of standard deviation ``spread``, and
    wanders around the plan with standard deviation ``wander``, on the scale of ``wander_h`` hours. With
    ``levels`` it holds one of them for ``wander_h`` hours at a time instead: by ``pick``, the one nearest to
    where it would be when the hold begins, or any, all as likely. The load never leaves ``low`` to ``high``.
    """

    mean: float = 0.7
    daily: float = 0.0
    peak_hour: float = 14.0
    weekend: float = 1.0
    wander: float = 0.05
    wander_h: float = 6.0
    spread: float = 0.0
    low: float = 0.0
    high: float = 1.2
    levels: tuple[float, ...] = ()
    pick: Literal["nearest", "random"] = "nearest"


@dataclass(frozen=True, slots=True)
class DeviceType:
    """Everything that is true of all devices of one kind.

    ``interval_s`` is the nominal time between two readings of a device; None: the median gap of the device's
    baseline. ``baseline_readings`` is how many first readings a device's own healthy baseline is learned
    from. ``horizon_h`` is how far ahead a forecast is expected to see; None: as history suggests.
    """

    name: str
    version: int
    channels: tuple[Channel, ...]
    title: str = ""
    description: str = ""
    interval_s: float | None = None
    baseline_readings: int = 400
    conditions: tuple[OperatingCondition, ...] = ()
    failure_modes: tuple[FailureMode, ...] = ()
    rules: tuple[AlertRule, ...] = ()
    actions: tuple[MaintenanceAction, ...] = ()
    properties: tuple[Property, ...] = ()
    commands: tuple[DeviceCommand, ...] = ()
    downtime_cost_per_h: float = 0.0
    horizon_h: float | None = None
    ambient_reference_c: float = 20.0
    sources: tuple[str, ...] = ()
    load: LoadProfile = field(default_factory=LoadProfile)

    @property
    def dtype(self) -> np.dtype[np.float32] | np.dtype[np.float64]:
        """The type of a value in columns: the widest that a channel asks for."""
        wide = any(channel.dtype == "float64" for channel in self.channels)
        return np.dtype(np.float64) if wide else np.dtype(np.float32)

    @property
    def channel_names(self) -> tuple[str, ...]:
        return tuple(channel.name for channel in self.channels)

    def channel_index(self, name: str) -> int:
        """Position of a channel; KeyError for a name that the type does not have."""
        for i, channel in enumerate(self.channels):
            if channel.name == name:
                return i
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Device:
    """One physical device. ``parent`` is another device's id: its gateway, line or machine.

    Of one that is ``importing`` the past is told first; it lives from ``commands.EndImport`` on.
    """

    id: str
    device_type: str
    site: str = ""
    parent: str | None = None
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    interval_s: float | None = None
    placement: Literal["shared", "dedicated"] = "shared"
    retired: bool = False
    importing: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """A million of them cross processes at once: as arguments, in a quarter of the time."""
        return Device, (
            self.id, self.device_type, self.site, self.parent, self.name, self.labels, self.interval_s, self.placement,
            self.retired, self.importing,
        )  # fmt: skip
