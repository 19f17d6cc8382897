"""One replication of one arm: forked twins run forward, with whoever mends and answers, to tables of what came of it.

Time goes in windows, at whose beginning crews are sent out and interventions take hold; within a window twins move by
themselves (``stepping.py``). The outcome depends on fork, scenario, arm and the replication's number alone: the same bits
for any size of tiles, and whatever runs beside it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twins import alert_kpis, alerts, kernels, physics, signals, state, trends, typefiles
from twins.alert_kpis import AlertLog
from twins.clock import HOUR_US, SECOND_US
from twins.costs import made_good
from twins.covariates import Covariates, covariates
from twins.devices import PRIORITIES, DeviceType
from twins.draws import CHOICE, life_key, name_key, name_keys
from twins.events import KINDS, Kind, event_buffer
from twins.fleetfiles import SENSOR_FAILURES, Climate
from twins.kernels import DECLARED, MAX_EVENTS_PER_LINE
from twins.physics import PhysicsState, Sites
from twins.prognosis import QUANTILES, WITHIN_H
from twins.readings import resolutions
from twins.rules import scores_in_use
from twins.simulation import sensor_faults
from twins.state import NEVER_US, ShardState
from twins.whatif import policies, scenarios, stepping
from twins.whatif.forks import Fork, ForkedType
from twins.whatif.policies import Booking, Order, Workshop
from twins.whatif.scenarios import Arm, Scenario
from twins.whatif.stepping import HEARD, IDLE, Model, Traces, Twins

TILE: Final = 256
"""Devices that are moved together; what is faster depends on the processor's cache, what comes of it does not."""

_KW: Final[Mapping[str, float]] = {"kW": 1.0, "W": 1e-3, "MW": 1e3}
_ROOM: Final = 16_384
Vector32 = NDArray[np.float32]
_NO_ORDER, _PLANNED, _UNPLANNED = range(3)

BUCKETS: Final = pa.schema(
    [
        ("arm", pa.string()),
        ("replication", pa.int32()),
        ("start_h", pa.float64()),
        ("group", pa.string()),
        ("devices", pa.int64()),
        ("service_h", pa.float64()),
        ("downtime_h", pa.float64()),
        ("failures", pa.int64()),
        ("planned", pa.int64()),
        ("unplanned", pa.int64()),
        ("maintenance_cost", pa.float64()),
        ("downtime_cost", pa.float64()),
        ("energy_kwh", pa.float64()),
        ("health_sum", pa.float64()),
        ("health_steps", pa.int64()),
        *((f"alerts_{priority}", pa.int64()) for priority in PRIORITIES),
        ("acknowledged", pa.int64()),
    ]
)
"""What happened in each stretch of time, by group. Work is counted, and paid, when it begins."""

WORK: Final = pa.schema(
    [
        ("arm", pa.string()),
        ("replication", pa.int32()),
        ("device_id", pa.string()),
        ("device_type", pa.string()),
        ("action", pa.string()),
        ("planned", pa.bool_()),
        ("failure_mode", pa.string()),
        ("asked_h", pa.float64()),
        ("begins_h", pa.float64()),
        ("ends_h", pa.float64()),
        ("cost", pa.float64()),
    ]
)
EVENTS: Final = pa.schema(
    [
        ("arm", pa.string()),
        ("replication", pa.int32()),
        ("at_h", pa.float64()),
        ("device_id", pa.string()),
        ("device_type", pa.string()),
        ("rule", pa.string()),
        ("kind", pa.string()),
        ("priority", pa.string()),
        ("occurrence", pa.int64()),
    ]
)
DEVICES: Final = pa.schema(
    [
        ("arm", pa.string()),
        ("replication", pa.int32()),
        ("device_id", pa.string()),
        ("device_type", pa.string()),
        ("service_h", pa.float64()),
        ("downtime_h", pa.float64()),
        ("failures", pa.int64()),
        ("energy_kwh", pa.float64()),
        ("alerts", pa.int64()),
        ("health", pa.float64()),
    ]
)
RUNS: Final = pa.schema(
    [
        ("arm", pa.string()),
        ("replication", pa.int32()),
        ("devices", pa.int64()),
        ("alerts_per_10_min", pa.float64()),
        ("peak_alerts_in_10_min", pa.int64()),
        ("floods", pa.int64()),
        ("time_in_flood_share", pa.float64()),
        ("chattering", pa.int64()),
        ("fleeting", pa.int64()),
        ("stale", pa.int64()),
        ("standing", pa.float64()),
        ("time_to_acknowledge_s", pa.float64()),
        ("device_steps", pa.int64()),
    ]
)
"""One line a replication: alerts as ISA-18.2 counts them, of all forked devices together as one position's."""

TABLES: Final[Mapping[str, pa.Schema]] = {
    "buckets": BUCKETS, "runs": RUNS, "work": WORK, "events": EVENTS, "devices": DEVICES
}  # fmt: skip


class Present(Protocol):
    """Says what forked devices are really like, as one replication has it; see ``estimation.py``."""

    def __call__(self, forked: ForkedType, seed: int, replication: int) -> PhysicsState: ...


class Forecaster(Protocol):
    """A forecast model of a type; see ``training/scoring.py``."""

    def __call__(self, device_type: str, version: int | None, known: Covariates) -> dict[str, Vector32]:
        """(n,) each of ``WITHIN_H`` and ``QUANTILES``; NaN where it cannot be said. ``version`` None: the one in force."""
        ...


class Outcome(NamedTuple):
    """What came of a replication: tables by name, and what was traced."""

    tables: dict[str, pa.Table]
    traces: pa.Table | None


@dataclass(frozen=True, slots=True)
class Tracing:
    """Devices of which every step is kept."""

    device_ids: tuple[str, ...]


def replicate(
    fork: Fork,
    scenario: Scenario,
    arm: Arm,
    number: int,
    present: Present,
    *,
    forecaster: Forecaster | None = None,
    tracing: Tracing | None = None,
    tile: int = TILE,
    check: Callable[[float], None] = lambda _: None,
) -> Outcome:
    """Run one replication of an arm.

    Parameters
    ----------
    fork : the twins; not changed
    number : of the replication, from 0
    present : says what forked devices are really like
    forecaster : asked at reviews where a policy or a rule goes by forecasts
    tile : devices moved together; does not change the outcome
    check : called after each window with the share that is done; ends the run by raising
    """
    return _Run(fork, scenario, arm, number, present, forecaster, tracing, tile).ran(check)


def rekeyed(physics_state: PhysicsState, seed: int, replication: int) -> PhysicsState:
    """The same devices with the luck of a replication: a copy."""
    s = PhysicsState._make(array.copy() for array in physics_state)
    stepping.rekey(s, seed, replication)
    return s


def as_known(forked: ForkedType, seed: int, replication: int) -> PhysicsState:
    """``Present`` for forks of simulated fleets: what is known of them is the truth."""
    if forked.physics is None:
        raise ValueError(f"nobody knows what devices of type {forked.device_type.name!r} are really like")
    return rekeyed(forked.physics, seed, replication)


def group_names(fork: Fork, scenario: Scenario) -> tuple[str, ...]:
    """The groups of a scenario's results, in their order."""
    match scenario.group_by:
        case "site":
            grown = {
                each.site
                for arm in scenario.arms
                for each in arm.interventions
                if isinstance(each, scenarios.Growth)
            }
            return tuple(sorted({*fork.sites, *grown}))
        case "type":
            return tuple(sorted(fork.types))
    return ("all",)


class _Kind:
    """The twins of one type in a run."""

    def __init__(self, run: "_Run", index: int, forked: ForkedType) -> None:
        arm, scenario = run.arm, run.scenario
        self.index, self.forked = index, forked
        self.device_type = armed(forked.device_type, arm)
        self.policy = arm.policies.get(self.device_type.name, arm.policy)
        growth = _growth(arm, self.device_type.name, scenario.horizon_h, run.start_us)
        self.ids: list[str] = [*forked.ids.to_pylist(), *(device_id for device_id, _, _ in growth)]
        self.forked_rows, self.rows = len(forked), len(self.ids)
        new_keys = name_keys(device_id for device_id, _, _ in growth)
        self.keys = np.concatenate([forked.keys, new_keys])
        places = {name: i for i, name in enumerate(run.sites)}
        grown_sites = np.array([places[site] for _, site, _ in growth], np.int32)
        self.site = np.concatenate(
            [np.array([places[site] for site in run.fork.sites], np.int32)[forked.site], grown_sites]
        )
        self.model = run.model_of(self.device_type)
        self.twins = self._twins(run, growth)
        self.base_load = self.twins.physics.load_factor.copy()
        self.ordered = np.full(self.rows, _NO_ORDER, np.uint8)
        self.group = self._group(run)
        cost = arm.costs.get(self.device_type.name)
        per_h = None if cost is None else cost.downtime_per_h
        self.downtime_per_h = self.device_type.downtime_cost_per_h if per_h is None else per_h
        prices = {} if cost is None else cost.actions
        self.price = [prices.get(each.name, each.cost) for each in self.device_type.actions]
        self.room = stepping.bench(run.tile, len(self.device_type.channels), self.device_type.dtype)
        self.lines = kernels.line_results(run.tile)
        self.totals = {name: np.zeros(self.rows) for name in ("service_us", "down_us", "failures", "energy_kwh",
                                                               "health", "steps", "alerts")}  # fmt: skip
        wants_scores = bool(scores_in_use(self.device_type)) or self.policy.kind == "prognosis"
        self.with_trends = run.forecaster is not None and wants_scores

    def _twins(self, run: "_Run", growth: Sequence[tuple[str, str, int]]) -> Twins:
        forked, scenario = self.forked, run.scenario
        n, total = self.forked_rows, self.rows
        whole = state.from_arrays(forked.arrays, total, n, forked.device_type)
        if self.device_type.rules != forked.device_type.rules:
            carried = alerts.carried_over(whole.alerts, forked.device_type, self.device_type, n)
            whole = whole._replace(alerts=carried)
        whole.core.interval_us[:] = run.step_us
        whole.core.gaps[:] = DECLARED
        devices = physics.blank_physics(total, forked.device_type)
        present = run.present(forked, scenario.seed, run.number)
        for name in PhysicsState._fields:
            getattr(devices, name)[:n] = getattr(present, name)
        devices.site[:] = self.site
        devices.device[:] = self.keys
        physics.begin(devices, self.model.physics, n, total, scenario.seed, run.number)
        course = stepping.blank_course(total, len(self.device_type.rules), run.start_us)
        for row, (_, _, enters_us) in enumerate(growth, n):
            course.serving[row], course.enters_us[row] = False, enters_us
        stepping.stand_failed(devices, course, n, run.start_us)
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

    def _group(self, run: "_Run") -> NDArray[np.int64]:
        match run.scenario.group_by:
            case "site":
                places = {name: i for i, name in enumerate(run.groups)}
                return np.asarray(np.array([places[name] for name in run.sites], np.int64)[self.site])
            case "type":
                return np.full(self.rows, run.groups.index(self.device_type.name), np.int64)
        return np.zeros(self.rows, np.int64)

    def take(self, run: "_Run", sums: dict[str, NDArray[np.float64]]) -> None:
        """Add what was counted since last time to the sums by group, and begin to count anew."""
        tally, groups = self.twins.tally, len(run.groups)

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


class _Run:
    """A replication under way."""

    def __init__(
        self,
        fork: Fork,
        scenario: Scenario,
        arm: Arm,
        number: int,
        present: Present,
        forecaster: Forecaster | None,
        tracing: Tracing | None,
        tile: int,
    ) -> None:
        self.fork, self.scenario, self.arm, self.number = fork, scenario, arm, number
        self.present, self.forecaster, self.tile = present, forecaster, tile
        self.start_us = fork.at_us
        self.step_us = round(scenario.step_s * SECOND_US)
        self.window_us = round(scenario.dispatch_h * HOUR_US)
        self.operator = arm.operator or scenario.operator
        self.resources = arm.resources or scenario.resources
        grown = {each.site for each in arm.interventions if isinstance(each, scenarios.Growth)}
        self.sites = tuple(sorted({*fork.sites, *grown}))
        self.groups = group_names(fork, scenario)
        self._climate = _weather(self.sites, fork.climates, scenario.seed, number)
        self.kinds = [_Kind(self, i, fork.types[name]) for i, name in enumerate(sorted(fork.types))]
        self._inject_sensors()
        self._workshop = Workshop.opened(
            self.resources, [kind.device_type for kind in self.kinds], self.start_us
        )
        self._buffer = event_buffer(_ROOM + MAX_EVENTS_PER_LINE)
        self._events: list[list[NDArray[Any]]] = [[] for _ in self.kinds]
        self._work: list[tuple[Any, ...]] = []
        self._begun: dict[int, list[Booking]] = {}  # by bucket
        self._buckets: list[dict[str, NDArray[np.float64]]] = []
        self._standing = 0.0
        self._steps = 0
        self._holding: dict[int, bool] = {}
        self._faulty: dict[int, tuple[_Kind, NDArray[np.int64], int]] = {}
        self._tracing = _Traced(self, tracing) if tracing is not None else None
        self._spread_ages()

    # -- the course of a run ---------------------------------------------------------------------------------

    def ran(self, check: Callable[[float], None]) -> Outcome:
        windows = round(self.scenario.horizon_h / self.scenario.dispatch_h)
        per_bucket = round(self.scenario.bucket_h / self.scenario.dispatch_h)
        for window in range(windows):
            now_us = self.start_us + window * self.window_us
            self._intervene(now_us)
            self._review(now_us)
            self._dispatch(now_us)
            self._move(now_us, window)
            self._note_failures()
            if (window + 1) % per_bucket == 0 or window + 1 == windows:
                self._close_bucket()
            check((window + 1) / windows)
        return Outcome(self._tables(windows), self._tracing.table() if self._tracing else None)

    def _move(self, now_us: int, window: int) -> None:
        steps = self.window_us // self.step_us
        ambient_c = self._ambient(now_us, steps)
        for kind in self.kinds:
            traces = self._tracing.of(kind) if self._tracing else _no_traces(kind)
            for first in range(0, kind.rows, self.tile):
                self._move_tile(kind, first, now_us, ambient_c, traces, window * steps)
            self._steps += kind.rows * steps
            standing = alerts.standing(kind.state.alerts, self._params(kind), np.arange(kind.rows))
            self._standing += float(standing["alerts"].sum())

    def _move_tile(
        self, kind: _Kind, first: int, now_us: int, ambient_c: NDArray[np.float64], traces: Traces, step: int
    ) -> None:
        stop = min(first + self.tile, kind.rows)
        progress = np.zeros(5, np.int64)
        ended = False
        while not ended:
            ended = stepping.run_tile(
                kind.twins, kind.model, ambient_c, first, stop, now_us, self.step_us, kind.with_trends, traces, step,
                kind.room, kind.lines, self._buffer, progress,
            )  # fmt: skip
            told = self._buffer.items[: self._buffer.used[0]]
            told = told[told["kind"] >= int(Kind.ALERT_RAISED)]
            if len(told):
                self._events[kind.index].append(told.copy())
            self._buffer.used[0] = progress[HEARD] = 0

    def _params(self, kind: _Kind) -> alerts.AlertParams:
        return kind.model.alerts

    def _ambient(self, now_us: int, steps: int) -> NDArray[np.float64]:
        """(steps, sites) °C at the end of each step."""
        ambient_c = np.empty((steps, len(self.sites)))
        for k in range(steps):
            physics.ambient(self._climate, now_us + (k + 1) * self.step_us, ambient_c[k])
        for change in self.arm.interventions:
            if isinstance(change, scenarios.AmbientChange) and self._holds(change.span, now_us):
                among = [not change.sites or site in change.sites for site in self.sites]
                ambient_c[:, among] += change.shift_k
        return ambient_c

    # -- what is done to them --------------------------------------------------------------------------------

    def _holds(self, span: scenarios.Span, now_us: int) -> bool:
        return holds(span, (now_us - self.start_us) / HOUR_US)

    def _intervene(self, now_us: int) -> None:
        """Let interventions take hold and end."""
        h, window_h = (now_us - self.start_us) / HOUR_US, self.scenario.dispatch_h
        loads = [each for each in self.arm.interventions if isinstance(each, scenarios.LoadChange)]
        if loads:
            self._load([each for each in loads if holds(each.span, h)])
        for number, change in enumerate(self.arm.interventions):
            match change:
                case scenarios.FaultInjection():
                    self._fault(number, change, holds(change.span, h))
                case scenarios.Retirement() if begins(change.span, h, window_h):
                    for kind in self.kinds:
                        rows = self._drawn(kind, number, change.devices, change.share)
                        kind.twins.course.leaves_us[rows] = now_us + 1
                case scenarios.PlannedWork() if begins(change.span, h, window_h):
                    for kind in self.kinds:
                        names = [each.name for each in kind.device_type.actions]
                        if change.action in names:
                            rows = self._drawn(kind, number, change.devices, change.share)
                            self._ask(kind, rows, names.index(change.action), now_us)

    def _load(self, changes: Sequence[scenarios.LoadChange]) -> None:
        for kind in self.kinds:
            wanted = kind.base_load.copy()
            for change in changes:
                rows = self._rows(kind, change.devices)
                wanted[rows] *= change.factor
            s = kind.twins.physics
            changed = wanted != s.load_factor
            s.load_factor[changed] = wanted[changed]
            stepping.forget_knots(s, changed)

    def _fault(self, number: int, change: scenarios.FaultInjection, now: bool) -> None:
        if now == self._holding.get(number, False):
            return
        self._holding[number] = now
        for kind in self.kinds:
            modes = [mode.name for mode in kind.device_type.failure_modes]
            if change.mode in modes:
                rows = self._drawn(kind, number, change.devices, change.share)
                damage, speed = (change.damage, change.speed) if now else (0.0, 1.0)
                stepping.hurry(
                    kind.twins.physics, kind.model.physics, rows, modes.index(change.mode), damage, speed
                )

    def _inject_sensors(self) -> None:
        for kind in self.kinds:
            faults: list[tuple[Any, ...]] = []
            for number, change in enumerate(self.arm.interventions):
                if not isinstance(change, scenarios.SensorInjection):
                    continue
                if change.channel not in kind.device_type.channel_names:
                    continue
                channel = kind.device_type.channel_index(change.channel)
                failure = SENSOR_FAILURES.index(change.failure)
                rows = self._drawn(kind, number, change.devices, change.share).tolist()
                for from_h, until_h in stretches(change.span, self.scenario.horizon_h):
                    start, end = (self.start_us + round(h * HOUR_US) for h in (from_h, until_h))
                    faults += [(row, channel, failure, start, end, change.size) for row in rows]
            kind.model = kind.model._replace(faults=sensor_faults(faults))

    def _rows(self, kind: _Kind, devices: str) -> NDArray[np.int64]:
        """Rows that a filter takes in; new devices belong to an empty one alone."""
        if not devices:
            return np.arange(kind.rows)
        return self.fork.matching(kind.forked.device_type.name, devices)

    def _drawn(self, kind: _Kind, number: int, devices: str, share: float) -> NDArray[np.int64]:
        """A share of the devices that a filter takes in: the same ones in every arm of a replication."""
        rows = self._rows(kind, devices)
        if share >= 1.0:
            return rows
        salt = np.uint64(name_key(f"{number} of {self.scenario.seed}, {self.number}"))
        luck = stepping.mixed(kind.keys[rows] ^ salt)
        count = round(share * len(rows))
        return np.sort(rows[np.argsort(luck, kind="stable")[:count]])

    # -- who acts ---------------------------------------------------------------------------------------------

    def _spread_ages(self) -> None:
        """Let devices under a fixed interval be as if their work had been spread evenly before."""
        for kind in self.kinds:
            if kind.policy.kind == "fixed_interval":
                part = stepping.uniforms(kind.twins.physics.device_key, CHOICE, 16)
                back_us = (part * kind.policy.every_h * HOUR_US).astype(np.int64)
                kind.twins.course.renewed_us[: kind.forked_rows] -= back_us[: kind.forked_rows]

    def _review(self, now_us: int) -> None:
        """Look at devices, and ask for what the policy says."""
        for kind in self.kinds:
            review_us = max(self.window_us, round(kind.policy.review_h * HOUR_US))
            if (now_us - self.start_us) % review_us:
                continue
            scores = self._forecast(kind)
            if kind.policy.kind in ("nothing", "run_to_failure"):
                continue
            course = kind.twins.course
            free = course.serving & (course.phase == IDLE) & (course.failed_us == NEVER_US)
            free &= kind.ordered == _NO_ORDER
            wanted = free & policies.due(kind.policy, kind.device_type, self._seen(kind, now_us, scores))
            rows = np.flatnonzero(wanted)
            if len(rows):
                self._ask(kind, rows, policies.planned_action(kind.policy, kind.device_type), now_us)

    def _forecast(self, kind: _Kind) -> dict[str, Vector32]:
        """Forecasts of all devices; rules hear of them, too."""
        if not kind.with_trends or self.forecaster is None:
            return {}
        name, rows = kind.device_type.name, np.arange(kind.rows, dtype=np.int32)
        known = covariates(kind.state, rows)
        scores = self.forecaster(name, self.arm.models.get(name), known)
        alerts.put_scores(kind.state.alerts, scores_in_use(kind.device_type), rows, scores)
        return scores

    def _seen(self, kind: _Kind, now_us: int, scores: Mapping[str, Vector32]) -> dict[str, NDArray[Any]]:
        """What a policy looks at."""
        twins, of = kind.twins, kind.device_type
        columns: dict[str, NDArray[Any]] = {
            "age_h": (now_us - twins.course.renewed_us) / HOUR_US,
            "health": twins.signals.health,
            "anomaly_score": twins.signals.anomaly_score,
            **scores,
        }
        unknown = np.full(kind.rows, np.nan, np.float32)
        for name in (*WITHIN_H, *QUANTILES):
            columns.setdefault(name, unknown)
        columns["risk"] = policies.risk(columns, kind.policy.within_h)
        for c, channel in enumerate(of.channels):
            value = twins.core.last_value[:, c]
            columns[channel.name] = value > 0.5 if channel.kind == "flag" else value
        if kind.policy.kind == "threshold" and "alert" in kind.policy.when:
            active = stepping.active_alerts(twins.alerts, kind.rows, len(of.rules))
            columns["alerts"] = active.sum(axis=1)
            columns.update({f"alert.{rule.name}": active[:, k] for k, rule in enumerate(of.rules)})
        return columns

    def _ask(self, kind: _Kind, rows: NDArray[np.int64], action: int, now_us: int) -> None:
        """Ask for planned work on devices that nothing is to be done to yet."""
        if action < 0:
            return
        course = kind.twins.course
        for row in rows.tolist():
            if kind.ordered[row] == _NO_ORDER and course.phase[row] == IDLE and course.serving[row]:
                self._order(kind, row, action, True, now_us, now_us, -1)

    def _order(
        self, kind: _Kind, row: int, action: int, planned: bool, asked_us: int, ready_us: int, mode: int
    ) -> None:
        takes_us = policies.duration_us(
            self.resources,
            kind.device_type.actions[action].duration_h,
            kind.twins.physics.life_key[row],
            action,
        )
        order = Order(planned, asked_us, kind.index, row, action, ready_us, max(self.step_us, takes_us), mode)
        self._workshop.queue.append(order)
        kind.ordered[row] = _PLANNED if planned else _UNPLANNED

    def _note_failures(self) -> None:
        """Ask for what mends devices that have failed."""
        wait_us = round(self.resources.unplanned_delay_h * HOUR_US)
        for kind in self.kinds:
            if kind.policy.kind == "nothing":
                continue
            course = kind.twins.course
            failed = (course.failed_us != NEVER_US) & (course.phase == IDLE) & course.serving
            for row in np.flatnonzero(failed & (kind.ordered != _UNPLANNED)).tolist():
                mode = int(course.failed_mode[row])
                action = policies.mending_action(kind.device_type, mode)
                if kind.ordered[row] == _PLANNED:
                    self._workshop.withdraw(kind.index, row)
                    kind.ordered[row] = _NO_ORDER
                if action >= 0:
                    failed_us = int(course.failed_us[row])
                    self._order(kind, row, action, False, failed_us, failed_us + wait_us, mode)

    def _dispatch(self, now_us: int) -> None:
        """Send crews out."""
        for booking in self._workshop.dispatch(now_us, now_us + self.window_us):
            order = booking.order
            kind = self.kinds[order.type_index]
            course, row = kind.twins.course, order.row
            kind.ordered[row] = _NO_ORDER
            if not course.serving[row]:
                continue
            course.phase[row], course.action[row] = stepping.BOOKED, order.action
            course.due_us[row], course.ends_us[row] = booking.begins_us, booking.ends_us
            bucket_us = round(self.scenario.bucket_h * HOUR_US)
            self._begun.setdefault((booking.begins_us - self.start_us) // bucket_us, []).append(booking)
            self._note_work(kind, booking)

    def _cost(self, kind: _Kind, order: Order) -> float:
        surcharge = 0.0 if order.planned else self.resources.unplanned_surcharge
        return kind.price[order.action] * (1.0 + surcharge)

    # -- what came of it --------------------------------------------------------------------------------------

    def _note_work(self, kind: _Kind, booking: Booking) -> None:
        order = booking.order
        if "work" not in self.scenario.keep:
            return
        hours = (
            (at - self.start_us) / HOUR_US for at in (order.asked_us, booking.begins_us, booking.ends_us)
        )
        mode = "" if order.failure_mode < 0 else kind.device_type.failure_modes[order.failure_mode].name
        action = kind.device_type.actions[order.action].name
        self._work.append(
            (self.arm.name, self.number, kind.ids[order.row], kind.device_type.name, action, order.planned, mode,
             *hours, self._cost(kind, order))
        )  # fmt: skip

    def _close_bucket(self) -> None:
        sums = {name: np.zeros(len(self.groups)) for name in BUCKETS.names[4:]}
        for kind in self.kinds:
            kind.take(self, sums)
        for booking in self._begun.pop(len(self._buckets), []):
            kind = self.kinds[booking.order.type_index]
            group = kind.group[booking.order.row]
            sums["planned" if booking.order.planned else "unplanned"][group] += 1
            sums["maintenance_cost"][group] += self._cost(kind, booking.order)
        self._buckets.append(sums)

    def _tables(self, windows: int) -> dict[str, pa.Table]:
        tables = {"buckets": self._bucket_table(), "runs": self._run_table(windows)}
        keep = self.scenario.keep
        if "work" in keep:
            tables["work"] = _table(self._work, WORK)
        if "events" in keep:
            tables["events"] = pa.concat_tables([self._event_table(kind) for kind in self.kinds]).sort_by(
                [("at_h", "ascending"), ("device_id", "ascending")]
            )
        if "devices" in keep:
            tables["devices"] = pa.concat_tables([self._device_table(kind) for kind in self.kinds])
        return tables

    def _bucket_table(self) -> pa.Table:
        groups = len(self.groups)
        columns: dict[str, Any] = {
            "arm": [self.arm.name] * (groups * len(self._buckets)),
            "replication": [self.number] * (groups * len(self._buckets)),
            "start_h": np.repeat(np.arange(len(self._buckets)) * self.scenario.bucket_h, groups),
            "group": list(self.groups) * len(self._buckets),
        }
        for name in BUCKETS.names[4:]:
            values = np.concatenate([sums[name] for sums in self._buckets])
            columns[name] = values if BUCKETS.field(name).type == pa.float64() else values.astype(np.int64)
        return pa.table(columns, BUCKETS)

    def _records(self, kind: _Kind) -> NDArray[Any]:
        """Alert events of a type in order: by time, then by device, then as they happened."""
        parts = self._events[kind.index]
        if not parts:
            return self._buffer.items[:0]
        records = np.concatenate(parts)
        return records[np.lexsort((np.arange(len(records)), records["row"], records["at_us"]))]

    def _run_table(self, windows: int) -> pa.Table:
        logs = []
        for kind in self.kinds:
            records = self._records(kind)
            alert = (np.int64(kind.index) << 48) | (records["row"].astype(np.int64) << 12) | records["slot"]
            priority = kind.model.course.priority[records["slot"]] if len(records) else np.zeros(0, np.uint8)
            logs.append(AlertLog(records["at_us"], alert, records["kind"], priority))
        log = AlertLog(*(np.concatenate(columns) for columns in zip(*logs, strict=True)))
        order = np.argsort(log.time_us, kind="stable")
        log = AlertLog(*(column[order] for column in log))
        stop_us = self.start_us + windows * self.window_us
        kpis = alert_kpis.alert_kpis(log, self.start_us, stop_us + 1)
        answer_s = kpis.time_to_acknowledge_s["p50"]
        row = (
            self.arm.name, self.number, sum(kind.rows for kind in self.kinds), kpis.annunciations_per_10_min,
            kpis.peak_in_10_min, kpis.floods, kpis.time_in_flood_share, len(kpis.chattering), kpis.fleeting,
            kpis.stale, self._standing / windows, None if np.isnan(answer_s) else answer_s, self._steps,
        )  # fmt: skip
        return _table([row], RUNS)

    def _event_table(self, kind: _Kind) -> pa.Table:
        records = self._records(kind)
        n = len(records)
        rules = [rule.name for rule in kind.device_type.rules]
        priorities = [rule.priority for rule in kind.device_type.rules]
        slot = records["slot"].astype(np.int64)
        columns = {
            "arm": pa.repeat(self.arm.name, n),
            "replication": pa.repeat(pa.scalar(self.number, pa.int32()), n),
            "at_h": (records["at_us"] - self.start_us) / HOUR_US,
            "device_id": pa.array(kind.ids, pa.string()).take(pa.array(records["row"].astype(np.int64))),
            "device_type": pa.repeat(kind.device_type.name, n),
            "rule": pa.array(rules, pa.string()).take(pa.array(slot)),
            "kind": [KINDS[Kind(each)].type for each in records["kind"].tolist()],
            "priority": pa.array(priorities, pa.string()).take(pa.array(slot)),
            "occurrence": records["occurrence"].astype(np.int64),
        }
        return pa.table(columns, EVENTS)

    def _device_table(self, kind: _Kind) -> pa.Table:
        t, n = kind.totals, kind.rows
        with np.errstate(invalid="ignore"):
            health = t["health"] / t["steps"]
        columns = {
            "arm": pa.repeat(self.arm.name, n),
            "replication": pa.repeat(pa.scalar(self.number, pa.int32()), n),
            "device_id": kind.ids,
            "device_type": pa.repeat(kind.device_type.name, n),
            "service_h": t["service_us"] / HOUR_US,
            "downtime_h": t["down_us"] / HOUR_US,
            "failures": t["failures"].astype(np.int64),
            "energy_kwh": t["energy_kwh"],
            "alerts": t["alerts"].astype(np.int64),
            "health": pa.array(health, mask=np.isnan(health)),
        }
        return pa.table(columns, DEVICES)

    def model_of(self, device_type: DeviceType) -> Model:
        """A type as kernels take it, in this arm."""
        config, of = self.fork.config, device_type
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
            seed=self.scenario.seed,
            replication=self.number,
            present=self.operator.present,
            acknowledge_us=self.operator.acknowledge_s * 1e6,
            reset_us=self.operator.reset_s * 1e6,
            spread=self.operator.spread,
        )  # fmt: skip
        return Model(
            limits=kernels.limits(of, config.max_ahead_s, config.stale_intervals, config.stale_at_least_s),
            signals=sp,
            alerts=alerts.compile_rules(of, config.stale_intervals, config.stale_at_least_s),
            trends=trends.trend_params(sp),
            physics=params,
            size=physics.step_size(params, self.scenario.step_s),
            course=course,
            faults=sensor_faults([]),
        )


class _Traced:
    """Steps of some devices, as they are kept."""

    def __init__(self, run: _Run, tracing: Tracing) -> None:
        steps = round(run.scenario.horizon_h * HOUR_US / run.step_us)
        self._run = run
        self._kept: list[tuple[NDArray[np.int64], Traces]] = []
        for kind in run.kinds:
            known = {device_id: row for row, device_id in enumerate(kind.ids)}
            rows = np.array([known[each] for each in tracing.device_ids if each in known], np.int64)
            place = np.full(kind.rows, -1, np.int32)
            place[rows] = np.arange(len(rows))
            channels, modes = len(kind.device_type.channels), len(kind.device_type.failure_modes)
            shape = (steps if len(rows) else 0, len(rows))
            traces = Traces(
                place,
                np.full((*shape, channels), np.nan),
                np.full(shape, np.nan, np.float32),
                np.full((*shape, modes), np.nan),
                np.zeros(shape, np.bool_),
            )
            self._kept.append((rows, traces))

    def of(self, kind: _Kind) -> Traces:
        return self._kept[kind.index][1]

    def table(self) -> pa.Table:
        """One line a device, step and quantity: device_id, at_h, quantity, value."""
        parts = []
        run = self._run
        for kind, (rows, traces) in zip(run.kinds, self._kept, strict=True):
            at_h = (np.arange(len(traces.values)) + 1) * (run.step_us / HOUR_US)
            named = {
                **{channel.name: traces.values[:, :, c] for c, channel in enumerate(kind.device_type.channels)},
                "health": traces.health,
                **{f"wear.{mode.name}": traces.wear[:, :, m] for m, mode in enumerate(kind.device_type.failure_modes)},
                "running": traces.running,
            }  # fmt: skip
            for i, row in enumerate(rows.tolist()):
                for name, values in named.items():
                    column = values[:, i].astype(np.float64)
                    parts.append(
                        pa.table(
                            {
                                "device_id": pa.repeat(kind.ids[row], len(at_h)),
                                "at_h": at_h,
                                "quantity": pa.repeat(name, len(at_h)),
                                "value": pa.array(column, mask=np.isnan(column)),
                            }
                        )
                    )
        return pa.concat_tables(parts) if parts else pa.table({})


def armed(device_type: DeviceType, arm: Arm) -> DeviceType:
    """A type under the rules of an arm."""
    rules = arm.rules.get(device_type.name)
    if rules is None:
        return device_type
    text = json.dumps({"rules": list(rules)})
    return replace(device_type, rules=typefiles.parse_rules(text, device_type, f"arm {arm.name}"))


def holds(span: scenarios.Span, at_h: float) -> bool:
    """Whether an intervention holds at a time after the fork."""
    since_h = at_h - span.from_h
    if since_h < 0:
        return False
    lasts_h = np.inf if span.until_h is None else span.until_h - span.from_h
    return bool((since_h % span.every_h if span.every_h > 0 else since_h) < lasts_h)


def begins(span: scenarios.Span, at_h: float, within_h: float) -> bool:
    """Whether it begins, or begins again, within the window before the next dispatch."""
    since_h = at_h - span.from_h
    if span.every_h > 0 and since_h > -within_h:
        last = span.until_h is not None and at_h >= span.until_h
        return not last and (since_h % span.every_h < within_h) and since_h >= 0
    return 0 <= since_h < within_h


def stretches(span: scenarios.Span, horizon_h: float) -> list[tuple[float, float]]:
    """When an intervention holds, up to the horizon."""
    lasts_h = horizon_h if span.until_h is None else span.until_h - span.from_h
    if span.every_h <= 0:
        return [(span.from_h, span.from_h + lasts_h)] if span.from_h < horizon_h else []
    return [(from_h, from_h + lasts_h) for from_h in np.arange(span.from_h, horizon_h, span.every_h).tolist()]


def _growth(arm: Arm, device_type: str, horizon_h: float, start_us: int) -> list[tuple[str, str, int]]:
    """Id, site and time of the devices of a type that come."""
    found: list[tuple[str, str, int]] = []
    for number, change in enumerate(arm.interventions):
        if isinstance(change, scenarios.Growth) and change.device_type == device_type:
            for wave, (from_h, _) in enumerate(stretches(change.span, horizon_h)):
                enters_us = start_us + round(from_h * HOUR_US)
                found += [
                    (f"new-{number}-{wave}-{i}", change.site, enters_us) for i in range(1, change.count + 1)
                ]
    return found


def _weather(sites: Sequence[str], climates: Mapping[str, Climate], seed: int, number: int) -> Sites:
    known = [climates.get(site, Climate()) for site in sites]
    keys = [int(life_key(seed, number, np.uint64(name_key(f"site {site}")), 0)) for site in sites]
    return Sites(
        mean_c=np.array([each.mean_c for each in known]),
        yearly_c=np.array([each.yearly_c for each in known]),
        daily_c=np.array([each.daily_c for each in known]),
        weather_c=np.array([each.weather_c for each in known]),
        key=np.array(keys, np.uint64),
    )


def _no_traces(kind: _Kind) -> Traces:
    channels, modes = len(kind.device_type.channels), len(kind.device_type.failure_modes)
    return Traces(
        np.full(kind.rows, -1, np.int32),
        np.zeros((0, 0, channels)),
        np.zeros((0, 0), np.float32),
        np.zeros((0, 0, modes)),
        np.zeros((0, 0), np.bool_),
    )


def _table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(c, kind) for c, kind in zip(columns, schema.types, strict=True)], schema)
