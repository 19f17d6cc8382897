"""Who acts when: what a policy asks for, and a workshop with crews and parts that does it.

Orders, crews and parts are plain records, so that they can be kept and gone on with. A workshop is sent out at certain
times; what it books then depends on what was asked until then and on nothing else. Failures come first, then what was asked
for longest; an order that waits for parts holds up no other.
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twins import costs, filters
from twins.clock import DAY_US, HOUR_US
from twins.devices import DeviceType, MaintenanceAction
from twins.draws import block, normal, uniform
from twins.filters import Field, Vocabulary
from twins.prognosis import FIGURES, WITHIN_H
from twins.whatif.scenarios import Policy, Resources

DURATION: Final = 17
"""The stream of draws of how long work takes; see ``twins/draws.py``."""

_TO_MONDAY_D: Final = 3  # 1970-01-01 was a Thursday


class Order(NamedTuple):
    """Work that was asked for. Sorted, it is in the order in which it is done."""

    planned: bool
    asked_us: int
    type_index: int
    row: int
    action: int
    ready_us: int  # it begins no sooner
    duration_us: int
    failure_mode: int = -1  # that it mends; -1: nothing has failed


class Booking(NamedTuple):
    """Work that has its time."""

    order: Order
    begins_us: int
    ends_us: int


@dataclass(slots=True)
class Workshop:
    """Crews and parts.

    Attributes
    ----------
    free_us : when each crew is free again; None: there are as many as it takes
    parts : when each part on the shelf, or ordered, is there, by name
    queue : orders that have no time yet
    """

    resources: Resources
    actions: Sequence[Sequence[MaintenanceAction]]
    free_us: list[int] | None
    parts: dict[str, list[int]] = field(default_factory=dict)
    queue: list[Order] = field(default_factory=list)

    @staticmethod
    def opened(resources: Resources, types: Sequence[DeviceType], at_us: int) -> "Workshop":
        """Nothing is under way; all crews are free and all parts on the shelf at ``at_us``."""
        free_us = None if resources.crews is None else [at_us] * resources.crews
        parts = {name: [at_us] * spare.stock for name, spare in resources.spares.items()}
        return Workshop(resources, [each.actions for each in types], free_us, parts)

    def withdraw(self, type_index: int, row: int) -> None:
        """Forget planned work on a device."""
        self.queue = [o for o in self.queue if not (o.planned and (o.type_index, o.row) == (type_index, row))]

    def dispatch(self, now_us: int, until_us: int) -> list[Booking]:
        """Book what can begin from ``now_us`` up to but without ``until_us``."""
        booked: list[Booking] = []
        left: list[Order] = []
        for order in sorted(self.queue):
            action = self.actions[order.type_index][order.action]
            begins_us = self._begin(order, action, now_us)
            if begins_us is None or begins_us >= until_us:
                left.append(order)
                continue
            ends_us = begins_us + order.duration_us
            self._take(action, begins_us, ends_us)
            booked.append(Booking(order, begins_us, ends_us))
        self.queue = left
        return booked

    def _begin(self, order: Order, action: MaintenanceAction, now_us: int) -> int | None:
        """When an order could begin; None: never."""
        at_us = max(now_us, order.ready_us)
        if self.free_us is not None:
            if action.crew > len(self.free_us):
                return None
            at_us = max(at_us, heapq.nsmallest(action.crew, self.free_us)[-1]) if action.crew else at_us
        for name, count in action.spares.items():
            if name not in self.parts:
                continue
            if count > len(self.parts[name]):
                return None
            at_us = max(at_us, sorted(self.parts[name])[count - 1])
        return next_shift(self.resources, at_us) if order.planned else at_us

    def _take(self, action: MaintenanceAction, begins_us: int, ends_us: int) -> None:
        if self.free_us is not None:
            for _ in range(action.crew):
                heapq.heapreplace(self.free_us, ends_us)
        for name, count in action.spares.items():
            if name in self.parts:
                lead_us = round(self.resources.spares[name].lead_h * HOUR_US)
                left = sorted(self.parts[name])[count:]
                self.parts[name] = left + [begins_us + lead_us] * count


def next_shift(resources: Resources, at_us: int) -> int:
    """The first moment from ``at_us`` on that is within the shift of a working day."""
    begin_us, end_us = (round(hour * HOUR_US) for hour in resources.shift)
    if not 0 <= begin_us < end_us <= DAY_US:
        raise ValueError(f"a shift begins before it ends, within a day, got {resources.shift}")
    day, within_us = divmod(at_us, DAY_US)
    while True:
        works = resources.weekends or (day + _TO_MONDAY_D) % 7 < 5
        if works and within_us < end_us:
            return day * DAY_US + max(within_us, begin_us)
        day, within_us = day + 1, 0


def duration_us(resources: Resources, hours: float, life_key: np.uint64, action: int) -> int:
    """How long work takes that takes ``hours`` on average; drawn for a device, its life-cycle and the action."""
    if resources.duration == "fixed" or hours == 0:
        return round(hours * HOUR_US)
    word = block(life_key, DURATION, action, 0)[0]
    if resources.duration == "exponential":
        return round(-math.log(uniform(word)) * hours * HOUR_US)
    spread = math.sqrt(math.log1p(resources.spread**2))
    return round(math.exp(spread * normal(word) - spread**2 / 2) * hours * HOUR_US)


def vocabulary(device_type: DeviceType) -> Vocabulary:
    """What ``Policy.when`` may name: channels, health and forecasts; how many alerts stand, and ``alert.<rule>``; hours
    since the last work."""
    fields = {
        channel.name: Field("flag" if channel.kind == "flag" else "number", column=channel.name, single=True)
        for channel in device_type.channels
    }
    for name in ("health", "anomaly_score", *FIGURES):
        fields.setdefault(name, Field("number", column=name, single=True))
    for name in ("alerts", "age_h"):
        fields.setdefault(name, Field("number", column=name))
    for rule in device_type.rules:
        fields[f"alert.{rule.name}"] = Field("flag", column=f"alert.{rule.name}")
    return Vocabulary(fields)


def due(policy: Policy, device_type: DeviceType, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """(n,) the devices for which planned work is to be asked now.

    ``columns`` : as ``vocabulary`` names them, (n,) each; ``age_h`` for ``fixed_interval``, ``risk`` for ``prognosis``:
    the chance of failing within ``policy.within_h``, NaN where nobody can say.
    """
    match policy.kind:
        case "fixed_interval":
            return np.asarray(columns["age_h"] >= policy.every_h)
        case "threshold":
            known = vocabulary(device_type)
            return filters.mask(filters.parse(policy.when, known), known, columns)
        case "prognosis":
            with np.errstate(invalid="ignore"):
                return np.asarray(columns["risk"] > policy.p_fail)
    return np.zeros(len(columns["age_h"]), np.bool_)


def risk(columns: Mapping[str, NDArray[Any]], within_h: float) -> NDArray[np.float64]:
    """(n,) the chance of failing within ``within_h``, at most 30 days, from those that a forecast tells; the hazard is
    constant between them. NaN where nobody can say."""
    hazard = costs.hazards(*(columns[name].astype(np.float64) for name in WITHIN_H))
    knots = [0.0, *WITHIN_H.values()]
    grown = np.vstack([np.zeros(hazard.shape[1]), hazard])
    k = int(np.clip(np.searchsorted(knots, within_h), 1, len(knots) - 1))
    part = min(1.0, (within_h - knots[k - 1]) / (knots[k] - knots[k - 1]))
    return np.asarray(-np.expm1(-(grown[k - 1] + part * (grown[k] - grown[k - 1]))))


def planned_action(policy: Policy, device_type: DeviceType, mode: int = -1) -> int:
    """What planned work does: what the policy says, else the action that makes most good of ``mode``, or of all modes;
    of several the cheapest. -1: there is none."""
    if policy.action:
        return next((i for i, each in enumerate(device_type.actions) if each.name == policy.action), -1)
    modes = device_type.failure_modes if mode < 0 else (device_type.failure_modes[mode],)

    def order(i: int) -> tuple[float, float]:
        action = device_type.actions[i]
        good = sum(costs.made_good(action, each.name) for each in modes)
        return -good, action.cost + action.duration_h * device_type.downtime_cost_per_h

    fitting = [i for i in range(len(device_type.actions)) if order(i)[0] < 0]
    return min(fitting, key=order, default=-1)


def mending_action(device_type: DeviceType, mode: int) -> int:
    """What is done after a failure; -1: nothing makes it good."""
    action = costs.mending(device_type, device_type.failure_modes[mode].name)
    return -1 if action is None else device_type.actions.index(action)
