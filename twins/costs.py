"""What it is expected to cost to do nothing about a failure that is forecast, to act later, or to act now: columns, one
row a device, over the next ``HORIZON_D`` days, in the fleet's currency.

The hazard is constant between the ages at which a forecast speaks: 24 h, 7 d, 30 d. With F the chance of failing by then, S
what is left of one, H the horizon, and g the share of the damage that the act makes good, acting at t is expected to cost

    F(t) · failure + S(t) · (act · (1 − t / life) + (1 − (S(H) / S(t)) ^ (1 − g)) · failure)

and nothing F(H) · failure. Waiting is worth something, too: the part in use serves t longer, out of the ``life`` that the
act buys. What is put off beyond the horizon costs as much as nothing. Where no forecast speaks everything is NaN: no number
is made up.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twins.devices import DeviceType, FailureMode, MaintenanceAction

HORIZON_D: Final = 30
"""How far ahead costs are counted, and the farthest that a forecast speaks of."""

UNPLANNED_DELAY_H: Final = 24.0
"""A failure finds neither people nor parts ready: so long the device stands before work on it begins."""

UNPLANNED_SURCHARGE: Final = 0.5
"""Overtime, express freight and what breaks along with it: so much dearer is the same work after a failure."""

_KNOTS_H: Final = (24.0, 168.0, HORIZON_D * 24.0)
_SUREST: Final = 1 - 1e-9

Vector = NDArray[np.float64]


class Plan(NamedTuple):
    """What an act costs against a failure mode, and what it is worth.

    Attributes
    ----------
    act : planned work: its price and the downtime while it is done
    failure : unplanned work after a failure that nobody forestalled
    good : the share of the mode's damage that the act makes good, 0 to 1; 0: it only looks
    life_h : how long what the act makes good then lasts as a rule, h; infinite where the type does not say
    """

    act: float
    failure: float
    good: float
    life_h: float


class Costs(NamedTuple):
    """(n,) each; NaN where nothing is forecast.

    Attributes
    ----------
    nothing, later, now : expected cost within the horizon
    later_h : the best time to act from tomorrow on, h from the forecast; NaN: put it off beyond the horizon
    due_h : by when waiting is expected to have cost as much as the act itself, and no sooner than ``later_h`` where that is
        cheaper than now; NaN where nothing is gained by acting
    """

    nothing: Vector
    later: Vector
    now: Vector
    later_h: Vector
    due_h: Vector


def plan(device_type: DeviceType, failure_mode: str, action: MaintenanceAction) -> Plan | None:
    """What ``action`` costs against a mode, "" for one that is not known; None where nothing makes that good."""
    mend = mending(device_type, failure_mode)
    if mend is None:
        return None
    per_h = device_type.downtime_cost_per_h
    mode = next((each for each in device_type.failure_modes if each.name == failure_mode), None)
    good = min(made_good(action, failure_mode), 1.0)
    return Plan(
        act=action.cost + action.duration_h * per_h,
        failure=mend.cost * (1 + UNPLANNED_SURCHARGE) + (mend.duration_h + UNPLANNED_DELAY_H) * per_h,
        good=good,
        life_h=np.inf if mode is None else good * usual_life_h(mode, device_type.load.mean),
    )


def mending(device_type: DeviceType, failure_mode: str) -> MaintenanceAction | None:
    """The action after a failure: the one that makes most good, of several the cheapest. None: there is none."""

    def order(action: MaintenanceAction) -> tuple[float, float]:
        return -made_good(
            action, failure_mode
        ), action.cost + action.duration_h * device_type.downtime_cost_per_h

    fitting = [each for each in device_type.actions if made_good(each, failure_mode) > 0]
    return min(fitting, key=order, default=None)


def made_good(action: MaintenanceAction, failure_mode: str) -> float:
    """The share of a mode's damage that an action takes away."""
    return action.resets.get(failure_mode, action.resets.get("*", 0.0))


def usual_life_h(mode: FailureMode, load: float) -> float:
    """How long a new device lasts at a steady load and the reference temperature, h: the growth law of
    ``FailureMode``, solved."""
    rate_per_h = mode.rate_per_h * load**mode.load_exponent
    if rate_per_h <= 0:
        return float("inf")
    seed, growth = mode.seed, mode.growth_exponent
    begun_h = seed / (rate_per_h * seed**growth)
    if growth == 1:
        return float(begun_h - np.log(seed) / rate_per_h)
    return float(begun_h + (1 - seed ** (1 - growth)) / ((1 - growth) * rate_per_h))


def hazards(p_24h: Vector, p_7d: Vector, p_30d: Vector) -> Vector:
    """(3, n) The cumulative hazard at 24 h, 7 d and 30 d. A probability below that of a shorter time is lifted to it."""
    chances = np.stack([p_24h, p_7d, p_30d]).astype(np.float64)
    chances = np.clip(np.maximum.accumulate(chances, axis=0), 0.0, _SUREST)
    return -np.log1p(-chances)


def now_or_nothing(hazard: Vector, act: Vector, failure: Vector, good: Vector) -> tuple[Vector, Vector]:
    """(n,) The expected costs of acting now, and of doing nothing; see ``expected``."""
    end = hazard[2]
    return act + -np.expm1(-end * (1 - good)) * failure, -np.expm1(-end) * failure


def expected(hazard: Vector, act: Vector, failure: Vector, good: Vector, life_h: Vector) -> Costs:
    """Expected costs of all three.

    Parameters
    ----------
    hazard : (3, n) as ``hazards`` gives it
    act, failure, good, life_h : (n,) each, as in ``Plan``

    Returns
    -------
    costs : all at least 0, and nothing is never cheaper than the cheaper of the others.
    """
    end_h = _KNOTS_H[-1]
    now, nothing = now_or_nothing(hazard, act, failure, good)
    lasts_h = np.maximum(life_h, end_h)
    later, later_h = nothing.copy(), np.full(len(nothing), np.nan)
    for at_h in np.arange(1, HORIZON_D) * 24.0:
        at = _cumulative(hazard, at_h)
        left = -np.expm1(-(hazard[2] - at) * (1 - good)) * failure
        cost = -np.expm1(-at) * failure + np.exp(-at) * (act * (1 - at_h / lasts_h) + left)
        better = cost < later
        later[better], later_h[better] = cost[better], at_h
    due_h = np.fmax(_due_h(hazard, act, failure), np.where(later < now, later_h, 0.0))
    gained = np.minimum(now, later) < nothing
    return Costs(nothing, later, now, later_h, np.where(gained, due_h, np.nan))


def _cumulative(hazard: Vector, at_h: float) -> Vector:
    """(n,) The cumulative hazard at a time within the horizon: straight between the knots."""
    before, begin_h = np.zeros_like(hazard[0]), 0.0
    for after, end_h in zip(hazard, _KNOTS_H, strict=True):
        if at_h <= end_h:
            return np.asarray(before + (after - before) * ((at_h - begin_h) / (end_h - begin_h)))
        before, begin_h = after, end_h
    raise ValueError(f"{at_h} h is beyond the horizon")


def _due_h(hazard: Vector, act: Vector, failure: Vector) -> Vector:
    """(n,) When F(t) · (failure − act) reaches the price of the act, h; the horizon where it does not within that."""
    dearer = failure - act
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        share = np.where(act > 0, act / np.where(dearer > 0, dearer, np.nan), 0.0)
        wanted = -np.log1p(-np.where(share < 1, share, np.nan))
        due_h = np.full(len(act), _KNOTS_H[-1])
        for k in (2, 1, 0):  # the last segment first, so that an earlier one has the last word
            before, begin_h = (hazard[k - 1], _KNOTS_H[k - 1]) if k else (np.zeros_like(act), 0.0)
            grown = hazard[k] - before
            within = np.where(grown > 0, (wanted - before) / grown, 0.0)
            due_h = np.where(wanted <= hazard[k], begin_h + within * (_KNOTS_H[k] - begin_h), due_h)
    return due_h
