"""Recommendations by a device's own futures: run when they are asked for, and kept for a while."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from serve.present import iso
from serve.prospects import money
from serve.recommendations import Advised
from training.history import History
from training.lab import Lab
from training.simulated_advice import LATER_H, LEVEL, Option, Question, Simulated, simulate
from twins.clock import HOUR_US, Clock, stopwatch_s
from twins.costs import HORIZON_D
from twins.errors import OverloadedError
from twins.whatif.intervals import Estimate

KEPT_S: Final = 300.0
"""So long an answer is given again; new readings change little of it in that time."""

BUDGET_S: Final = 20.0
"""What takes longer is given up."""

_MOST: Final = 1000  # answers
_NOTHING_HELPS: Final = "no action of the type makes it good"


class Simulations:
    """Runs devices forward, one at a time, and remembers what came of it.

    Parameters
    ----------
    history : the whole; who asks is allowed to see the device that is asked about
    clock : says what is now
    """

    def __init__(self, history: History, clock: Clock) -> None:
        self._history, self._clock = history, clock
        self._kept: dict[tuple[Any, ...], tuple[float, Simulated]] = {}
        self._lock = threading.Lock()

    def of(self, advised: Advised) -> dict[str, Any]:
        """What futures say of a recommendation, as it is shown.

        Raises
        ------
        OverloadedError : it took too long.
        MomentNotKeptError, MomentAheadError : the present state of the device cannot be told.
        """
        basis, item = advised.basis, advised.item
        now_us = self._clock.now_us()
        if item["planned"] is None:
            return _item(item, Simulated(basis.device_id, now_us, 0, why_not=_NOTHING_HELPS))
        question = Question(
            basis.device_id, basis.failure_mode, item["planned"], _later_h(item["costs"], now_us)
        )
        key = (question._replace(later_h=None), basis.device_type, basis.life_cycle)
        with self._lock:
            self._forget()
            kept = self._kept.get(key)
        if kept is None:
            (found,) = simulate(self._lab(), basis.device_type, [question])
            kept = stopwatch_s() + KEPT_S, found
            with self._lock:
                self._kept[key] = kept
        return _item(item, kept[1])

    def _lab(self) -> Lab:
        return Lab(self._history.folder.parent, self._history, None, self._clock, _in_time())

    def _forget(self) -> None:
        now_s = stopwatch_s()
        self._kept = {key: each for key, each in list(self._kept.items())[-_MOST:] if each[0] > now_s}


def _in_time() -> Callable[[], None]:
    until_s = stopwatch_s() + BUDGET_S

    def check() -> None:
        if stopwatch_s() > until_s:
            raise OverloadedError(f"the simulation took more than {BUDGET_S:g} s", BUDGET_S)

    return check


def _later_h(costs_of: dict[str, Any] | None, now_us: int) -> float | None:
    """When later is, h from now: as the formula has it, else in a week."""
    if costs_of is None:
        return LATER_H
    if costs_of["later_at"] is None:
        return None
    later_us = datetime.fromisoformat(costs_of["later_at"]).timestamp() * 1e6
    return max(0.0, (later_us - now_us) / HOUR_US)


def _item(item: dict[str, Any], found: Simulated) -> dict[str, Any]:
    later_us = None if found.later_h is None else found.at_us + round(found.later_h * HOUR_US)
    return {
        "id": item["id"],
        "device_id": found.device_id,
        "action": item["planned"],
        "made": iso(found.at_us),
        "futures": found.futures,
        "level": LEVEL,
        "horizon_days": HORIZON_D,
        "later_at": iso(later_us),
        **{name: _option(getattr(found, name)) for name in ("nothing", "later", "now")},
        "why_not": found.why_not or None,
    }


def _option(option: Option | None) -> dict[str, Any] | None:
    if option is None:
        return None
    against = option.against_nothing
    return {
        "cost": _figure(option.cost),
        "fails": {"value": option.fails.value, "low": option.fails.low, "high": option.fails.high},
        "difference": None if against is None else _figure(against.difference),
        "better": None if against is None else against.share_better.value,
    }


def _figure(estimate: Estimate) -> dict[str, Any]:
    return {name: money(getattr(estimate, name)) for name in ("value", "low", "high")}
