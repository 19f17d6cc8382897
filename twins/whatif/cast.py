"""The forked twins of one type in a run: their state, what is counted of them, and what their type is in this arm."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from twins import alerts, kernels, physics, signals, state, trends, typefiles
from twins.clock import HOUR_US, SECOND_US
from twins.costs import made_good
from twins.covariates import Covariates
from twins.devices import PRIORITIES, DeviceType
from twins.draws import name_keys
from twins.kernels import DECLARED
from twins.physics import PhysicsState
from twins.prognosis import FIGURES
from twins.readings import resolutions
from twins.rules import scores_in_use
from twins.simulation import sensor_faults
from twins.state import ShardState
from twins.whatif import stepping
from twins.whatif.forks import Fork, ForkedType
from twins.whatif.interventions import stretches
from twins.whatif.presence import Present
from twins.whatif.scenarios import Arm, Growth, Operator, Resources, Scenario
from twins.whatif.stepping import Model, Twins

Vector32 = NDArray[np.float32]

NO_ORDER: Final = 0
PLANNED: Final = 1
UNPLANNED: Final = 2
"""What is asked for a device and has no time yet."""

_KW: Final = {"kW": 1.0, "W": 1e-3, "MW": 1e3}
_TOTALS: Final = ("service_us", "down_us", "failures", "energy_kwh", "health", "steps", "alerts")


class Forecaster(Protocol):
    """A forecast model; see ``training/lab.py``."""

    def __call__(
        self, device_type: DeviceType, version: int | None, ids: Sequence[str], known: Covariates
    ) -> dict[str, Vector32]:
        """(n,) each of ``prognosis.FIGURES``; NaN where it cannot be said. ``version`` None: the one in force."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """A replication of an arm, before anything moves.

    Attributes
    ----------
    number : of the replication
    sites : of the fork and of devices that come later, sorted
    groups : by which results are told
    """

    fork: Fork
    scenario: Scenario
    arm: Arm
    number: int
    sites: tuple[str, ...]
    groups: tuple[str, ...]

    @staticmethod
    def of(fork: Fork, scenario: Scenario, arm: Arm, number: int) -> "Setting":
        grown = {each.site for each in arm.interventions if isinstance(each, Growth)}
        sites = tuple(sorted({*fork.sites, *grown}))
        return Setting(fork, scenario, arm, number, sites, group_names(fork, scenario))

    @property
    def start_us(self) -> int:
        return self.fork.at_us

    @property
    def step_us(self) -> int:
        return round(self.scenario.step_s * SECOND_US)

    @property
    def window_us(self) -> int:
        return round(self.scenario.dispatch_h * HOUR_US)

    @property
    def operator(self) -> Operator:
        return self.arm.operator or self.scenario.operator

    @property
    def resources(self) -> Resources:
        return self.arm.resources or self.scenario.resources


def group_names(fork: Fork, scenario: Scenario) -> tuple[str, ...]:
    """The groups of a scenario's results, in their order."""
    match scenario.group_by:
        case "site":
            grown = {
                each.site for arm in scenario.arms for each in arm.interventions if isinstance(each, Growth)
            }
            return tuple(sorted({*fork.sites, *grown}))
        case "type":
            return tuple(sorted(fork.types))
    return ("all",)


class Cast:
    """The twins of one type in a setting.

    Attributes
    ----------
    device_type : in this arm
    ids, keys, site, group : of the devices: those of the fork, then those that come
    model, twins, state : what moves, see ``stepping.py``; ``state`` holds the sections that live twins have
    ordered : (rows,) what is asked for each
    price : of each action
    totals : (rows,) each, over the whole run
    with_trends : forecasts are asked of them
    """

    def __init__(
        self, setting: Setting, index: int, forked: ForkedType, present: Present, is_forecast: bool, tile: int
    ) -> None:
        arm, scenario = setting.arm, setting.scenario
        self.index, self.forked = index, forked
        self.device_type = armed(forked.device_type, arm)
        self.policy = arm.policies.get(self.device_type.name, arm.policy)
        growth = _growth(arm, self.device_type.name, scenario.horizon_h, setting.start_us)
        self.ids: list[str] = [*forked.ids.to_pylist(), *(device_id for device_id, _, _ in growth)]
        self.forked_rows, self.rows = len(forked), len(self.ids)
        new_keys = name_keys(device_id for device_id, _, _ in growth)
        self.keys = np.concatenate([forked.keys, new_keys])
        places = {name: i for i, name in enumerate(setting.sites)}
        grown_sites = np.array([places[site] for _, site, _ in growth], np.int32)
        self.site = np.concatenate(
            [np.array([places[site] for site in setting.fork.sites], np.int32)[forked.site], grown_sites]
        )
        self.model = _model(setting, self.device_type)
        self.twins = self._twins(setting, present, growth)
        self.base_load = self.twins.physics.load_factor.copy()
        self.ordered = np.full(self.rows, NO_ORDER, np.uint8)
        self._groups = len(setting.groups)
        self.group = self._group(setting)
        cost = arm.costs.get(self.device_type.name)
        per_h = None if cost is None else cost.downtime_per_h
        self.downtime_per_h = self.device_type.downtime_cost_per_h if per_h is None else per_h
        prices = {} if cost is None else cost.actions
        self.price = [prices.get(each.name, each.cost) for each in self.device_type.actions]
        self.room = stepping.bench(tile, len(self.device_type.channels), self.device_type.dtype)
        self.lines = kernels.line_results(tile)
        self.totals = {name: np.zeros(self.rows) for name in _TOTALS}
        asked = self.policy.when if self.policy.kind == "threshold" else ""
        wants_scores = (
            bool(scores_in_use(self.device_type))
            or self.policy.kind == "prognosis"
            or any(name in asked for name in FIGURES)
        )
        self.with_trends = is_forecast and wants_scores

    def _twins(self, setting: Setting, present: Present, growth: Sequence[tuple[str, str, int]]) -> Twins:
        forked, scenario = self.forked, setting.scenario
        n, total = self.forked_rows, self.rows
        whole = state.from_arrays(forked.arrays, total, n, forked.device_type)
        if self.device_type.rules != forked.device_type.rules:
            carried = alerts.carried_over(whole.alerts, forked.device_type, self.device_type, n)
            whole = whole._replace(alerts=carried)
        whole.core.interval_us[:] = setting.step_us
        whole.core.gaps[:] = DECLARED
        devices = physics.blank_physics(total, forked.device_type)
        found = present(forked, scenario.seed, setting.number)
        for name in PhysicsState._fields:
            getattr(devices, name)[:n] = getattr(found, name)
        devices.site[:] = self.site
        devices.device[:] = self.keys
        physics.begin(devices, self.model.physics, n, total, scenario.seed, setting.number)
        course = stepping.blank_course(total, len(self.device_type.rules), setting.start_us)
        for row, (_, _, enters_us) in enumerate(growth, n):
            course.serving[row], course.enters_us[row] = False, enters_us
        stepping.stand_failed(devices, course, n, setting.start_us)
        self.state: ShardState = whole
        return Twins(
            whole.core,
            whole.signals,
            whole.alerts,
            whole.trends,
            devices,
            course,
            stepping.blank_tally(total),
        )

    def _group(self, setting: Setting) -> NDArray[np.int64]:
        match setting.scenario.group_by:
            case "site":
                places = {name: i for i, name in enumerate(setting.groups)}
                return np.asarray(np.array([places[name] for name in setting.sites], np.int64)[self.site])
            case "type":
                return np.full(self.rows, setting.groups.index(self.device_type.name), np.int64)
        return np.zeros(self.rows, np.int64)

    def take(self, sums: dict[str, NDArray[np.float64]]) -> None:
        """Add what was counted since last time to the sums by group, and begin to count anew."""
        tally, groups = self.twins.tally, self._groups

        def by_group(values: NDArray[Any]) -> NDArray[np.float64]:
            return np.bincount(self.group, values.astype(np.float64), groups).astype(np.float64)

        sums["devices"] += by_group(tally.service_us > 0)
        sums["service_h"] += by_group(tally.service_us) / HOUR_US
        down_h = by_group(tally.down_us) / HOUR_US
        sums["downtime_h"] += down_h
        sums["downtime_cost"] += down_h * self.downtime_per_h
        for name in ("failures", "energy_kwh"):
            sums[name] += by_group(getattr(tally, name))
        sums["health_sum"] += by_group(tally.health)
        sums["health_steps"] += by_group(tally.steps)
        for p, priority in enumerate(PRIORITIES):
            sums[f"alerts_{priority}"] += by_group(tally.alerts[:, p])
        sums["acknowledged"] += by_group(tally.answered)
        for name, total in self.totals.items():
            counted = getattr(tally, name)
            total += counted.sum(axis=1) if counted.ndim > 1 else counted
        for name in tally._fields:
            getattr(tally, name)[:] = 0


def armed(device_type: DeviceType, arm: Arm) -> DeviceType:
    """A type under the rules of an arm."""
    rules = arm.rules.get(device_type.name)
    if rules is None:
        return device_type
    text = json.dumps({"rules": list(rules)})
    return replace(device_type, rules=typefiles.parse_rules(text, device_type, f"arm {arm.name}"))


def _growth(arm: Arm, device_type: str, horizon_h: float, start_us: int) -> list[tuple[str, str, int]]:
    """Id, site and time of the devices of a type that come."""
    found: list[tuple[str, str, int]] = []
    for number, change in enumerate(arm.interventions):
        if isinstance(change, Growth) and change.device_type == device_type:
            for wave, (from_h, _) in enumerate(stretches(change.span, horizon_h)):
                enters_us = start_us + round(from_h * HOUR_US)
                found += [
                    (f"new-{number}-{wave}-{i}", change.site, enters_us) for i in range(1, change.count + 1)
                ]
    return found


def _model(setting: Setting, device_type: DeviceType) -> Model:
    """A type as kernels take it, in this arm."""
    config, of = setting.fork.config, device_type
    sp = signals.signal_params(of)
    params = physics.physics_params(of)
    modes = [mode.name for mode in of.failure_modes]
    resolution, per_unit = resolutions(of)
    course = stepping.CourseParams(
        resets=np.array([[min(1.0, made_good(action, mode)) for mode in modes] for action in of.actions]
                        ).reshape(len(of.actions), len(modes)),
        renews=np.array([action.kind != "inspection" for action in of.actions], np.bool_),
        relearns=np.array([action.kind == "replacement" or action.relearn for action in of.actions], np.bool_),
        power_kw=np.array([_KW.get(channel.unit, 0.0) for channel in of.channels]),
        resolution=resolution,
        per_unit=per_unit,
        priority=np.array([PRIORITIES.index(rule.priority) for rule in of.rules], np.uint8),
        seed=setting.scenario.seed,
        replication=setting.number,
        present=setting.operator.present,
        acknowledge_us=setting.operator.acknowledge_s * 1e6,
        reset_us=setting.operator.reset_s * 1e6,
        spread=setting.operator.spread,
    )  # fmt: skip
    return Model(
        limits=kernels.limits(of, config.max_ahead_s, config.stale_intervals, config.stale_at_least_s),
        signals=sp,
        alerts=alerts.compile_rules(of, config.stale_intervals, config.stale_at_least_s),
        trends=trends.trend_params(sp),
        physics=params,
        size=physics.step_size(params, setting.scenario.step_s),
        course=course,
        faults=sensor_faults([]),
    )
