"""What nothing, later and now come to in a device's own futures: its present state, forked many times over and run forward.

The sums are those of ``twins/costs.py``, told by events instead of hazards. Work is charged to what asked for it within
``HORIZON_D`` days: a failure costs the dearer work that mends it and the downtime from the failure to the end of that work,
planned work its price and the downtime while it is done. A planned act that is done t after the fork costs ``t / life`` of
itself less, since the part in use serves so much longer out of the ``life`` that the act buys; without that, later would be
charged for a life that begins, and ends, later. What fails before later comes has the future of doing nothing: it is mended
then, and not worked on again.

Unlike the formula, which knows one failure mode and one failure, futures hold all modes of the type, and whatever fails
again. What is not known of a device, damage above all, differs from future to future as its estimate says, and so do load,
weather and wear. Future k has the same luck in all three arms, so they are compared pair by pair.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.lab import Lab
from twins import costs
from twins.costs import HORIZON_D, Vector
from twins.devices import DeviceType, MaintenanceAction
from twins.draws import name_keys
from twins.whatif import intervals
from twins.whatif.estimation import REASONS, TOO_SHORT, UNHEARD, DamageEstimate
from twins.whatif.experiments import Experiment
from twins.whatif.forks import Fork, ForkedType
from twins.whatif.intervals import Estimate, Paired
from twins.whatif.presence import Estimated
from twins.whatif.scenarios import Arm, Operator, PlannedWork, Scenario, Span

FUTURES: Final = 200
"""Of each device: the chance to fail is known to about 6 of 100 then."""

LEVEL: Final = 0.9
"""Of all intervals."""

HISTORY_H: Final = 168.0
"""Of readings, that tell how worn a device is."""

LATER_H: Final = 168.0
"""When later is, where no forecast says a best time."""

STEP_S: Final = 3600.0
DISPATCH_H: Final = 24.0
"""Later is rounded to this. A failure waits as long or longer for people and parts, so mending begins at its time."""

_HORIZON_H: Final = HORIZON_D * 24.0
_ENTRIES: Final = "alerts.entries"
_UNTOLD: Final = {
    reason: f"nobody knows how worn it is: {REASONS[reason]}" for reason in (UNHEARD, TOO_SHORT)
}
_STANDS: Final = "it stands still at present"


class Question(NamedTuple):
    """An act against a failure mode of a device ("": one that is not known), now or ``later_h`` from now. None: put off
    beyond the horizon, which is doing nothing."""

    device_id: str
    failure_mode: str
    action: str
    later_h: float | None = LATER_H


@dataclass(frozen=True, slots=True)
class Option:
    """What one of the three comes to.

    Attributes
    ----------
    cost : expected within the horizon, in the fleet's currency
    fails : the chance that the device fails within the horizon
    against_nothing : the cost less that of doing nothing, future by future; None of nothing itself
    """

    cost: Estimate
    fails: Estimate
    against_nothing: Paired | None


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a device's futures say.

    Attributes
    ----------
    later_h : when later is, h from the fork; None: beyond the horizon
    why_not : why there are no futures; empty where there are
    """

    device_id: str
    at_us: int
    futures: int
    nothing: Option | None = None
    later: Option | None = None
    now: Option | None = None
    later_h: float | None = None
    why_not: str = ""


class _Futures(NamedTuple):
    """What becomes of devices in one arm, (devices, futures) each.

    Attributes
    ----------
    cost : of all work that is asked for within the horizon, and of the downtime that comes with it
    failed_h : when each first fails, h; infinite where it does not
    waited_h : when planned work on each begins, h; 0 where there is none
    """

    cost: Vector
    failed_h: Vector
    waited_h: Vector

    def of(self, row: int) -> "_Futures":
        return _Futures(*(column[row] for column in self))


def simulate(
    lab: Lab, device_type: str, questions: Sequence[Question], futures: int = FUTURES
) -> list[Simulated]:
    """What doing nothing, later and now come to, for devices of a type as they are now; one answer a question.

    Raises
    ------
    MomentNotKeptError, MomentAheadError : the present state cannot be told.
    """
    fork = lab.present(device_type, [each.device_id for each in questions])
    return simulate_fork(fork, lab.estimates(fork, HISTORY_H), questions, futures, lab.check)


def simulate_fork(
    fork: Fork,
    estimates: Mapping[str, DamageEstimate],
    questions: Sequence[Question],
    futures: int = FUTURES,
    check: Callable[[], None] = lambda: None,
) -> list[Simulated]:
    """The same of devices that were forked, and of which is estimated what is behind their readings.

    Devices with the same act at the same time are run together; what comes of one depends on its id and state alone.
    """
    place = {
        device_id: (name, row)
        for name, each in fork.types.items()
        for row, device_id in enumerate(each.ids.to_pylist())
    }
    found: dict[int, Simulated] = {}
    together: dict[tuple[str, str, float | None], list[int]] = {}
    for i, asked in enumerate(questions):
        name, row = place.get(asked.device_id, ("", -1))
        why_not = "it is not among the devices that live"
        if name:
            why_not = _why_not(fork.types[name].device_type, asked)
        if name in estimates and not why_not:
            why_not = _UNTOLD.get(int(estimates[name].reason[row]), "")
        if why_not:
            found[i] = Simulated(asked.device_id, fork.at_us, 0, why_not=why_not)
        else:
            together.setdefault((name, asked.action, _later_h(asked.later_h)), []).append(i)
    for (name, action, later_h), which in together.items():
        rows = np.array([place[questions[i].device_id][1] for i in which])
        many = _many(fork, name, rows, futures)
        damage = {name: estimates[name].take(np.repeat(rows, futures))} if name in estimates else {}
        arms = _run(many, name, Estimated(damage), action, later_h, (len(which), futures), check)
        for k, i in enumerate(which):
            found[i] = _answer(
                fork, name, questions[i], later_h, {arm: each.of(k) for arm, each in arms.items()}
            )
    return [found[i] for i in range(len(questions))]


def _why_not(device_type: DeviceType, asked: Question) -> str:
    """Why a type's devices have no futures; empty where they have."""
    if not device_type.failure_modes:
        return f"type {device_type.name!r} has no failure modes: nothing says how its devices wear out"
    for mode in device_type.failure_modes:
        if costs.mending(device_type, mode.name) is None:
            return f"type {device_type.name!r} has no action that makes {mode.name!r} good"
    if asked.action not in [each.name for each in device_type.actions]:
        return f"type {device_type.name!r} has no action {asked.action!r}"
    return ""


def _later_h(asked_h: float | None) -> float | None:
    """The dispatch at which later is, from the first one after now on; None from the horizon on."""
    if asked_h is None:
        return None
    later_h = max(1, round(asked_h / DISPATCH_H)) * DISPATCH_H
    return later_h if later_h < _HORIZON_H else None


def _many(fork: Fork, name: str, rows: NDArray[np.int64], futures: int) -> Fork:
    """A fork that holds some devices of a type so many times over, each with luck of its own and weather of its own.

    Twins go without their alerts: nobody answers any, and nothing here goes by them.
    """
    forked = fork.types[name]
    which = np.repeat(rows, futures)
    number = np.tile(np.arange(futures), len(rows))
    ids = [
        f"{device_id}#{k}"
        for device_id in forked.ids.take(pa.array(rows)).to_pylist()
        for k in range(futures)
    ]
    keys = name_keys(ids)
    physics = forked.physics
    if physics is not None:
        physics = type(physics)._make(array[which] for array in physics)._replace(device=keys)
    many = ForkedType(
        forked.device_type,
        pa.array(ids, pa.string()),
        keys,
        (forked.site[which] * futures + number).astype(np.int32),
        {key: array[:0] if key == _ENTRIES else array[which] for key, array in forked.arrays.items()},
        forked.table.take(pa.array(which)),
        physics,
    )
    sites = tuple(f"{site}#{k}" for site in fork.sites for k in range(futures))
    climates = {f"{site}#{k}": climate for site, climate in fork.climates.items() for k in range(futures)}
    return replace(fork, types={name: many}, sites=sites, climates=climates)


def _run(
    many: Fork,
    name: str,
    present: Estimated,
    action: str,
    later_h: float | None,
    shape: tuple[int, int],
    check: Callable[[], None],
) -> dict[str, _Futures]:
    """Nothing, now and, within the horizon, later."""
    asked_h = {"now": 0.0} if later_h is None else {"now": 0.0, "later": later_h}
    rules: dict[str, tuple[Mapping[str, Any], ...]] = {name: ()}
    acts = [
        Arm(arm, interventions=(PlannedWork(action, span=Span(h)),), rules=rules)
        for arm, h in asked_h.items()
    ]
    whole_h = _HORIZON_H + DISPATCH_H  # so that what fails at the end still finds its work
    scenario = Scenario(
        name="advice", arms=(Arm("nothing", rules=rules), *acts), horizon_h=whole_h, step_s=STEP_S, bucket_h=whole_h,
        dispatch_h=DISPATCH_H, replications=1, operator=Operator(present=False), keep=("work",),
    )  # fmt: skip
    work = Experiment(scenario, many, present).run(check=check).arrow("work")
    per_h = many.types[name].device_type.downtime_cost_per_h
    return {
        arm.name: _told(work.filter(pc.equal(work["arm"], arm.name)), many.types[name].ids, per_h, shape)
        for arm in scenario.arms
    }


def _told(work: pa.Table, ids: pa.StringArray, per_h: float, shape: tuple[int, int]) -> _Futures:
    """What became of each device by the work that was done on it."""
    work = work.filter(pc.less(work["asked_h"], _HORIZON_H))
    row = pc.index_in(work["device_id"], ids).to_numpy()
    planned = work["planned"].to_numpy()
    asked_h, begins_h = work["asked_h"].to_numpy(), work["begins_h"].to_numpy()
    stands_h = work["ends_h"].to_numpy() - np.where(planned, begins_h, asked_h)
    cost, waited_h = np.zeros(len(ids)), np.zeros(len(ids))
    failed_h = np.full(len(ids), np.inf)
    np.add.at(cost, row, work["cost"].to_numpy() + stands_h * per_h)
    np.minimum.at(failed_h, row[~planned], asked_h[~planned])
    waited_h[row[planned]] = begins_h[planned]
    return _Futures(cost.reshape(shape), failed_h.reshape(shape), waited_h.reshape(shape))


def _answer(
    fork: Fork, name: str, asked: Question, later_h: float | None, arms: Mapping[str, _Futures]
) -> Simulated:
    nothing = arms["nothing"]
    if (nothing.failed_h <= 0).mean() >= 0.5:
        return Simulated(asked.device_id, fork.at_us, 0, why_not=_STANDS)
    of = fork.types[name].device_type
    action = next(each for each in of.actions if each.name == asked.action)
    later = nothing
    if later_h is not None:
        later = _credited(arms["later"], of, asked.failure_mode, action)
        first = nothing.failed_h <= later_h
        later = _Futures(*(np.where(first, one, other) for one, other in zip(nothing, later, strict=True)))
    return Simulated(
        asked.device_id,
        fork.at_us,
        len(nothing.cost),
        nothing=_option(nothing, None),
        later=_option(later, nothing),
        now=_option(arms["now"], nothing),
        later_h=later_h,
    )


def _credited(later: _Futures, of: DeviceType, failure_mode: str, action: MaintenanceAction) -> _Futures:
    """Less what the part in use served until planned work."""
    reckoned = costs.plan(of, failure_mode, action)
    if reckoned is None:
        return later
    lasts_h = max(reckoned.life_h, _HORIZON_H)
    return later._replace(cost=later.cost - reckoned.act * later.waited_h / lasts_h)


def _option(futures: _Futures, nothing: _Futures | None) -> Option:
    failed = int((futures.failed_h < _HORIZON_H).sum())
    return Option(
        cost=intervals.mean(futures.cost, LEVEL),
        fails=intervals.share(failed, len(futures.cost), LEVEL),
        against_nothing=None
        if nothing is None
        else intervals.paired(futures.cost, nothing.cost, lower_is_better=True, level=LEVEL),
    )
