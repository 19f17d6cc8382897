"""One replication of one arm: forked twins run forward, with whoever mends and answers, to tables of what came of it.

Time goes in windows, at whose beginning crews are sent out and interventions take hold; within a window twins move by
themselves (``stepping.py``). The outcome depends on fork, scenario, arm and the replication's number alone: the same bits
for any size of tiles, and whatever runs beside it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twins import alerts
from twins.clock import HOUR_US
from twins.covariates import covariates
from twins.draws import CHOICE
from twins.events import event_buffer
from twins.kernels import MAX_EVENTS_PER_LINE
from twins.prognosis import FIGURES
from twins.rules import scores_in_use
from twins.state import NEVER_US
from twins.whatif import policies, stepping
from twins.whatif.cast import NO_ORDER, PLANNED, UNPLANNED, Cast, Forecaster, Setting, Vector32
from twins.whatif.forks import Fork
from twins.whatif.interventions import Interventions
from twins.whatif.outcomes import Ledger, Outcome
from twins.whatif.policies import Order, Workshop
from twins.whatif.presence import Present
from twins.whatif.scenarios import Arm, Scenario
from twins.whatif.stepping import HEARD, IDLE, Traces
from twins.whatif.tracing import Traced, Tracing, no_traces

TILE: Final = 256
"""Devices that are moved together; what is faster depends on the processor's cache, what comes of it does not."""

_ROOM: Final = 16_384


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
    setting = Setting.of(fork, scenario, arm, number)
    return _Run(setting, present, forecaster, tracing, tile).ran(check)


class _Run:
    """A replication under way."""

    def __init__(
        self,
        setting: Setting,
        present: Present,
        forecaster: Forecaster | None,
        tracing: Tracing | None,
        tile: int,
    ) -> None:
        self._setting, self._forecaster, self._tile = setting, forecaster, tile
        types = setting.fork.types
        self._cast = [
            Cast(setting, i, types[name], present, forecaster is not None, tile)
            for i, name in enumerate(sorted(types))
        ]
        self._ledger = Ledger(setting, self._cast)
        self._interventions = Interventions(setting, self._cast)
        in_force = [kind.device_type for kind in self._cast]
        self._workshop = Workshop.opened(setting.resources, in_force, setting.start_us)
        self._buffer = event_buffer(_ROOM + MAX_EVENTS_PER_LINE)
        self._steps = setting.window_us // setting.step_us
        self._windows = round(setting.scenario.horizon_h / setting.scenario.dispatch_h)
        self._traced: Traced | None = None
        if tracing is not None:
            self._traced = Traced(self._cast, tracing, self._windows * self._steps, setting.step_us)
        self._spread_ages()

    def ran(self, check: Callable[[float], None]) -> Outcome:
        setting = self._setting
        per_bucket = round(setting.scenario.bucket_h / setting.scenario.dispatch_h)
        end_us = setting.start_us + self._windows * setting.window_us
        for window in range(self._windows):
            now_us = setting.start_us + window * setting.window_us
            for kind, rows, action in self._interventions.take_hold(now_us):
                names = [each.name for each in kind.device_type.actions]
                self._ask(kind, rows, names.index(action) if action in names else -1, now_us)
            self._review(now_us)
            self._dispatch(now_us)
            self._move(now_us, window)
            self._note_failures()
            if (window + 1) % per_bucket == 0 or window + 1 == self._windows:
                self._ledger.close_bucket()
            check((window + 1) / self._windows)
        return Outcome(self._ledger.tables(end_us), self._traced.table() if self._traced else None)

    # -- moving ----------------------------------------------------------------------------------------------

    def _move(self, now_us: int, window: int) -> None:
        ambient_c = self._interventions.ambient(now_us, self._steps)
        standing = 0
        for kind in self._cast:
            traces = self._traced.of(kind) if self._traced else no_traces(kind)
            for first in range(0, kind.rows, self._tile):
                self._move_tile(kind, first, now_us, ambient_c, traces, window * self._steps)
            now = alerts.standing(kind.state.alerts, kind.model.alerts, np.arange(kind.rows))
            standing += int(now["alerts"].sum())
        self._ledger.note_standing(standing)

    def _move_tile(
        self, kind: Cast, first: int, now_us: int, ambient_c: NDArray[np.float64], traces: Traces, step: int
    ) -> None:
        stop = min(first + self._tile, kind.rows)
        progress = np.zeros(5, np.int64)
        ended = False
        while not ended:
            ended = stepping.run_tile(
                kind.twins, kind.model, ambient_c, first, stop, now_us, self._setting.step_us, kind.with_trends, traces,
                step, kind.room, kind.lines, self._buffer, progress,
            )  # fmt: skip
            self._ledger.hear(kind, self._buffer.items[: self._buffer.used[0]])
            self._buffer.used[0] = progress[HEARD] = 0

    # -- who acts --------------------------------------------------------------------------------------------

    def _spread_ages(self) -> None:
        """Let devices under a fixed interval be as if their work had been spread evenly before."""
        for kind in self._cast:
            if kind.policy.kind == "fixed_interval":
                part = stepping.uniforms(kind.twins.physics.device_key, CHOICE, 16)
                back_us = (part * kind.policy.every_h * HOUR_US).astype(np.int64)
                kind.twins.course.renewed_us[: kind.forked_rows] -= back_us[: kind.forked_rows]

    def _review(self, now_us: int) -> None:
        """Look at devices, and ask for what the policy says."""
        for kind in self._cast:
            review_us = max(self._setting.window_us, round(kind.policy.review_h * HOUR_US))
            if (now_us - self._setting.start_us) % review_us:
                continue
            scores = self._forecast(kind)
            if kind.policy.kind in ("nothing", "run_to_failure"):
                continue
            course = kind.twins.course
            free = course.serving & (course.phase == IDLE) & (course.failed_us == NEVER_US)
            free &= kind.ordered == NO_ORDER
            wanted = free & policies.due(kind.policy, kind.device_type, self._seen(kind, now_us, scores))
            rows = np.flatnonzero(wanted)
            if len(rows):
                self._ask(kind, rows, policies.planned_action(kind.policy, kind.device_type), now_us)

    def _forecast(self, kind: Cast) -> dict[str, Vector32]:
        """Forecasts of all devices; rules hear of them, too."""
        if not kind.with_trends or self._forecaster is None:
            return {}
        rows = np.arange(kind.rows, dtype=np.int32)
        version = self._setting.arm.models.get(kind.device_type.name)
        scores = self._forecaster(kind.device_type, version, kind.ids, covariates(kind.state, rows))
        for name in scores_in_use(
            kind.device_type
        ):  # what cannot be said leaves rules with what they heard before
            said = rows[np.isfinite(scores[name])]
            alerts.put_scores(
                kind.state.alerts, scores_in_use(kind.device_type), said, {name: scores[name][said]}
            )
        return scores

    def _seen(self, kind: Cast, now_us: int, scores: Mapping[str, Vector32]) -> dict[str, NDArray[Any]]:
        """What a policy looks at."""
        twins, of = kind.twins, kind.device_type
        columns: dict[str, NDArray[Any]] = {
            "age_h": (now_us - twins.course.renewed_us) / HOUR_US,
            "health": twins.signals.health,
            "anomaly_score": twins.signals.anomaly_score,
            **scores,
        }
        unknown = np.full(kind.rows, np.nan, np.float32)
        for name in FIGURES:
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

    def _ask(self, kind: Cast, rows: NDArray[np.int64], action: int, now_us: int) -> None:
        """Ask for planned work on devices that nothing is to be done to yet."""
        if action < 0:
            return
        course = kind.twins.course
        for row in rows.tolist():
            if kind.ordered[row] == NO_ORDER and course.phase[row] == IDLE and course.serving[row]:
                self._order(kind, row, action, True, now_us, now_us, -1)

    def _order(
        self, kind: Cast, row: int, action: int, planned: bool, asked_us: int, ready_us: int, mode: int
    ) -> None:
        takes_us = policies.duration_us(
            self._setting.resources,
            kind.device_type.actions[action].duration_h,
            kind.twins.physics.life_key[row],
            action,
        )
        order = Order(
            planned, asked_us, kind.index, row, action, ready_us, max(self._setting.step_us, takes_us), mode
        )
        self._workshop.queue.append(order)
        kind.ordered[row] = PLANNED if planned else UNPLANNED

    def _note_failures(self) -> None:
        """Ask for what mends devices that have failed."""
        wait_us = round(self._setting.resources.unplanned_delay_h * HOUR_US)
        for kind in self._cast:
            if kind.policy.kind == "nothing":
                continue
            course = kind.twins.course
            failed = (course.failed_us != NEVER_US) & (course.phase == IDLE) & course.serving
            for row in np.flatnonzero(failed & (kind.ordered != UNPLANNED)).tolist():
                mode = int(course.failed_mode[row])
                action = policies.mending_action(kind.device_type, mode)
                if kind.ordered[row] == PLANNED:
                    self._workshop.withdraw(kind.index, row)
                    kind.ordered[row] = NO_ORDER
                if action >= 0:
                    failed_us = int(course.failed_us[row])
                    self._order(kind, row, action, False, failed_us, failed_us + wait_us, mode)

    def _dispatch(self, now_us: int) -> None:
        """Send crews out."""
        for booking in self._workshop.dispatch(now_us, now_us + self._setting.window_us):
            order = booking.order
            kind = self._cast[order.type_index]
            course, row = kind.twins.course, order.row
            kind.ordered[row] = NO_ORDER
            if not course.serving[row]:
                continue
            course.phase[row], course.action[row] = stepping.BOOKED, order.action
            course.due_us[row], course.ends_us[row] = booking.begins_us, booking.ends_us
            self._ledger.note_work(kind, booking)
