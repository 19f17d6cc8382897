"""What-if as data: which twins are forked, what is done to them in each arm, and what is to be known of it.

A scenario is frozen and says everything that a result depends on, so the same scenario gives the same numbers. Files are
read in ``scenariofiles.py``; nothing is run here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from twins.costs import UNPLANNED_DELAY_H, UNPLANNED_SURCHARGE
from twins.fleetfiles import SensorFailure

Start = Literal["live", "past", "fleet"]
Duration = Literal["fixed", "exponential", "lognormal"]
PolicyKind = Literal["nothing", "run_to_failure", "fixed_interval", "threshold", "prognosis"]
Grouping = Literal["none", "site", "type"]
Better = Literal["lower", "higher"]

METRICS: Final[Mapping[str, Better]] = {
    "failures": "lower",
    "availability": "higher",
    "cost": "lower",
    "maintenance_cost": "lower",
    "downtime_cost": "lower",
    "downtime_h": "lower",
    "planned": "lower",
    "energy_kwh": "lower",
    "health": "higher",
    "alerts": "lower",
    "alerts_per_10_min": "lower",
    "peak_alerts_in_10_min": "lower",
    "time_in_flood_share": "lower",
    "chattering": "lower",
    "standing": "lower",
    "time_to_acknowledge_s": "lower",
}
"""What can be measured without SQL, and which way is better."""


@dataclass(frozen=True, slots=True)
class Base:
    """What is forked: the live twins, twins as of ``at_us``, or the simulated fleet of a file after ``warm_up_h``.

    ``devices`` is a filter (``type = 'centrifugal-pump' and site = 'oslo'``); empty: all. Damage behind the readings is
    estimated from the last ``history_h``.
    """

    start: Start = "live"
    at_us: int | None = None
    fleet: str = ""
    warm_up_h: float = 24.0
    devices: str = ""
    history_h: float = 168.0


@dataclass(frozen=True, slots=True)
class Stopping:
    """Replications until the interval of ``metric`` is no wider than ``half_width`` on either side, at ``level``.

    ``half_width`` is a share of the mean where ``relative``, else in the metric's unit. Against the reference arm it is that
    of the paired difference, as a share of the reference's mean.
    """

    metric: str = "cost"
    half_width: float = 0.05
    relative: bool = True
    level: float = 0.9
    at_least: int = 10
    at_most: int = 500


@dataclass(frozen=True, slots=True)
class Operator:
    """Who answers alerts: each is acknowledged, and once it may be reset is reset, after a delay drawn for it.

    Delays are lognormal with these medians and ``spread`` as the standard deviation of the logarithm. One that is not
    ``present`` does nothing.
    """

    present: bool = True
    acknowledge_s: float = 300.0
    reset_s: float = 900.0
    spread: float = 0.5


@dataclass(frozen=True, slots=True)
class Spare:
    """A part on the shelf: ``stock`` at the start; one that is used is ordered again and comes after ``lead_h``."""

    stock: int
    lead_h: float = 0.0


@dataclass(frozen=True, slots=True)
class Resources:
    """Who does the work, and with what.

    ``crews`` None: as many as it takes. Planned work begins within the shift, hours UTC of a day, without Saturday and
    Sunday unless ``weekends``; work once begun is ended. Unplanned work begins at any hour, ``unplanned_delay_h`` after the
    failure at the earliest. Parts not named in ``spares`` are always there. Durations are those of the actions, or drawn
    with these as means: exponential, or lognormal with a coefficient of variation ``spread``. Unplanned work is dearer by
    the share ``unplanned_surcharge``.
    """

    crews: int | None = None
    shift: tuple[float, float] = (0.0, 24.0)
    weekends: bool = True
    spares: Mapping[str, Spare] = field(default_factory=dict)
    unplanned_delay_h: float = UNPLANNED_DELAY_H
    unplanned_surcharge: float = UNPLANNED_SURCHARGE
    duration: Duration = "fixed"
    spread: float = 0.5


@dataclass(frozen=True, slots=True)
class Policy:
    """When planned work is asked for; what failed is always put right, but under ``nothing``.

    ``nothing``: what fails stands still. ``run_to_failure``: failures alone are mended. ``fixed_interval``: each device
    ``every_h`` after its last work; at the start their ages are spread evenly. ``threshold``: while ``when`` holds, in the
    filter grammar, over health, channels and alerts. ``prognosis``: while the chance of failing within ``within_h``, as the
    model in force tells, is above ``p_fail``. A device is looked at each ``review_h``. ``action`` empty: the one that makes
    most good of what is likeliest to fail.
    """

    kind: PolicyKind = "run_to_failure"
    every_h: float = 0.0
    when: str = ""
    p_fail: float = 0.3
    within_h: float = 168.0
    action: str = ""
    review_h: float = 24.0


@dataclass(frozen=True, slots=True)
class Span:
    """When an intervention holds, hours after the fork; ``until_h`` None: to the end.

    Repeated each ``every_h`` where that is above zero.
    """

    from_h: float = 0.0
    until_h: float | None = None
    every_h: float = 0.0


@dataclass(frozen=True, slots=True)
class LoadChange:
    """Devices are asked to do ``factor`` times as much."""

    factor: float
    devices: str = ""
    span: Span = field(default_factory=Span)


@dataclass(frozen=True, slots=True)
class AmbientChange:
    """It is warmer outside by ``shift_k``; ``sites`` empty: everywhere."""

    shift_k: float
    sites: tuple[str, ...] = ()
    span: Span = field(default_factory=Span)


@dataclass(frozen=True, slots=True)
class FaultInjection:
    """A failure mode gets at least ``damage`` and goes on ``speed`` times as fast, on ``share`` of the devices."""

    mode: str
    damage: float = 0.0
    speed: float = 1.0
    devices: str = ""
    share: float = 1.0
    span: Span = field(default_factory=Span)


@dataclass(frozen=True, slots=True)
class SensorInjection:
    """Sensors of a channel fail, as ``fleetfiles.Injection`` says, on ``share`` of the devices."""

    channel: str
    failure: SensorFailure
    size: float = 0.0
    devices: str = ""
    share: float = 1.0
    span: Span = field(default_factory=Span)


@dataclass(frozen=True, slots=True)
class Growth:
    """``count`` new devices of a type at a site, at ``span.from_h``, and again each ``span.every_h``."""

    device_type: str
    count: int
    site: str = ""
    span: Span = field(default_factory=Span)


@dataclass(frozen=True, slots=True)
class Retirement:
    """``share`` of the devices leave the fleet at ``span.from_h``."""

    devices: str = ""
    share: float = 1.0
    span: Span = field(default_factory=Span)


@dataclass(frozen=True, slots=True)
class PlannedWork:
    """``action`` is asked for, for ``share`` of the devices, at ``span.from_h`` and again each ``span.every_h``."""

    action: str
    devices: str = ""
    share: float = 1.0
    span: Span = field(default_factory=Span)


Intervention = (
    LoadChange | AmbientChange | FaultInjection | SensorInjection | Growth | Retirement | PlannedWork
)


@dataclass(frozen=True, slots=True)
class CostChange:
    """Other costs: of standing still, and of actions by name; None and left out: as the type says."""

    downtime_per_h: float | None = None
    actions: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arm:
    """One option.

    Attributes
    ----------
    policy : of maintenance; ``policies`` has others for single types
    interventions : what else happens
    rules : alert rules by type, as documents, in place of those in force
    models : version of the forecast model by type; left out: the one in force
    costs : by type
    resources, operator : None: the scenario's
    """

    name: str
    title: str = ""
    policy: Policy = field(default_factory=Policy)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    interventions: tuple[Intervention, ...] = ()
    rules: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    models: Mapping[str, int] = field(default_factory=dict)
    costs: Mapping[str, CostChange] = field(default_factory=dict)
    resources: Resources | None = None
    operator: Operator | None = None


@dataclass(frozen=True, slots=True)
class SqlMetric:
    """A number of one's own: ``sql`` over the tables of results gives a row (arm, replication, value)."""

    name: str
    sql: str
    better: Better = "lower"


@dataclass(frozen=True, slots=True)
class Scenario:
    """An experiment.

    Attributes
    ----------
    horizon_h : how far the twins are run forward
    step_s : one step of physics and one reading a device
    bucket_h : results are told by stretches of that length, a divisor of the horizon
    group_by : and by this
    dispatch_h : crews are sent out this often
    replications : how many runs of each arm; with ``stopping`` as many as that asks for
    reference : the arm that others are compared with; empty: the first
    metrics : of ``METRICS``
    keep : tables beside the results: ``events`` of alerts, ``work`` orders, ``devices``
    """

    name: str
    arms: tuple[Arm, ...]
    title: str = ""
    description: str = ""
    base: Base = field(default_factory=Base)
    horizon_h: float = 720.0
    step_s: float = 60.0
    bucket_h: float = 24.0
    dispatch_h: float = 1.0
    group_by: Grouping = "none"
    replications: int = 20
    stopping: Stopping | None = None
    seed: int = 1
    level: float = 0.9
    reference: str = ""
    operator: Operator = field(default_factory=Operator)
    resources: Resources = field(default_factory=Resources)
    metrics: tuple[str, ...] = ("failures", "availability", "cost", "alerts")
    sql_metrics: tuple[SqlMetric, ...] = ()
    keep: tuple[Literal["events", "work", "devices"], ...] = ("work",)

    @property
    def reference_arm(self) -> str:
        return self.reference or self.arms[0].name

    def arm(self, name: str) -> Arm:
        """An arm by name; KeyError for one that there is not."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)
