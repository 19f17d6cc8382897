"""One compiled pass that moves forked twins forward: physics, readings, the scoring kernel, and whoever answers alerts.

A *tile* of devices, few enough to stay in the processor's cache, is moved through all steps of a window before the next one
is begun. A row's course depends on that row, the time and its keys alone: results are the same bits however rows are cut
into tiles. What devices share, crews and parts, is seen to between windows (``policies.py``).

This file holds all that is compiled for forks but for what live twins use, too: numba keeps a function by its own file.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twins import lifecycle, physics, signals, trends
from twins.alert_state import ACTIVE, FLAGS, HIDDEN, LATCHED, UNACKED, AlertState, word_of
from twins.alerts import AlertParams
from twins.clock import HOUR_US
from twins.draws import block, life_key, mix, normal, uniform
from twins.events import EventBuffer, Kind
from twins.kernels import MAX_EVENTS_PER_LINE, Limits, LineResults, apply_lines
from twins.physics import PhysicsParams, PhysicsState, StepSize
from twins.readings import round_into
from twins.signals import SignalParams, SignalState
from twins.simulation import SensorFaults, fail_sensors
from twins.state import NEVER_US, CoreState
from twins.trends import TrendParams, TrendState

FAR_US: Final = np.iinfo(np.int64).max
"""The time of what is not due."""

IDLE: Final = 0
BOOKED: Final = 1
AT_WORK: Final = 2
"""What goes on with a device: nothing; work on it begins at ``due_us``; work on it ends then."""

OPERATOR: Final = 16
"""The stream of draws of how long people take; see ``twins/draws.py``."""

_RAISED: Final = int(Kind.ALERT_RAISED)
_RERAISED: Final = int(Kind.ALERT_RERAISED)
_LATCHED_EVENT: Final = int(Kind.ALERT_LATCHED)
_PRIORITIES: Final = 4
_NO_KNOT: Final = np.iinfo(np.int64).min

STEP, STAGE, LINE, LINES, HEARD = range(5)
"""Places in ``progress``: step, stage of it, line, how many lines, events that were heard."""

_MOVE, _TELL, _ANSWER = range(3)  # stages of a step


class CourseState(NamedTuple):
    """What happens to each device beside its twin: one row each."""

    serving: NDArray[np.bool_]  # (n,) it is part of the fleet
    enters_us: NDArray[np.int64]  # (n,) from then on
    leaves_us: NDArray[np.int64]  # (n,) until then
    phase: NDArray[np.uint8]  # (n,) IDLE, BOOKED, AT_WORK
    due_us: NDArray[np.int64]  # (n,) when that changes; FAR_US
    ends_us: NDArray[np.int64]  # (n,) when booked work ends
    action: NDArray[np.int16]  # (n,) that is booked; -1: none
    failed_us: NDArray[np.int64]  # (n,) since when it stands failed; NEVER_US: it has not
    failed_mode: NDArray[np.int16]  # (n,)
    renewed_us: NDArray[np.int64]  # (n,) end of the last work on it, or the fork
    answer_us: NDArray[np.int64]  # (n, rules) when somebody comes to an alert; FAR_US: nobody does
    answer_next_us: NDArray[np.int64]  # (n,) the first of these


class Tally(NamedTuple):
    """What is counted of each device, until it is taken: whole numbers, and sums in the order of time."""

    service_us: NDArray[np.int64]  # (n,) part of the fleet
    down_us: NDArray[np.int64]  # (n,) of that, not running
    failures: NDArray[np.int32]  # (n,)
    energy_kwh: NDArray[np.float64]  # (n,)
    health: NDArray[np.float64]  # (n,) sum over steps
    steps: NDArray[np.int32]  # (n,) steps with a health
    alerts: NDArray[np.int32]  # (n, 4) annunciations by priority
    answered: NDArray[np.int32]  # (n,) alerts acknowledged


class CourseParams(NamedTuple):
    """A type and an arm as numbers: A actions, M failure modes, C channels."""

    resets: NDArray[np.float64]  # (A, M) share of damage that goes away
    renews: NDArray[np.bool_]  # (A,) begins a new life-cycle: not an inspection
    relearns: NDArray[np.bool_]  # (A,) and a new baseline
    power_kw: NDArray[np.float64]  # (C,) kW in one unit of the channel; 0: it is no power
    resolution: NDArray[np.float64]  # (C,)
    per_unit: NDArray[np.float64]  # (C,)
    priority: NDArray[np.uint8]  # (rules,) index in PRIORITIES
    seed: int
    replication: int
    present: bool  # somebody answers alerts
    acknowledge_us: float  # median
    reset_us: float  # median
    spread: float  # of the logarithm


class Traces(NamedTuple):
    """Steps of some devices, kept whole; ``place`` is -1 for all others."""

    place: NDArray[np.int32]  # (n,)
    values: NDArray[np.float64]  # (steps, kept, C)
    health: NDArray[np.float32]  # (steps, kept)
    wear: NDArray[np.float64]  # (steps, kept, M)
    running: NDArray[np.bool_]  # (steps, kept)


class Bench(NamedTuple):
    """Room for the lines of one step of a tile."""

    rows: NDArray[np.int32]
    event_us: NDArray[np.int64]
    values: NDArray[Any]  # (tile, C) as they are simulated
    told: NDArray[Any]  # (tile, C) lines of devices that are part of the fleet
    present: NDArray[np.uint64]
    told_present: NDArray[np.uint64]


class Twins(NamedTuple):
    """The state of forked twins of one type, as kernels take it."""

    core: CoreState
    signals: SignalState
    alerts: AlertState
    trends: TrendState
    physics: PhysicsState
    course: CourseState
    tally: Tally


class Model(NamedTuple):
    """What does not change while they move."""

    limits: Limits
    signals: SignalParams
    alerts: AlertParams
    trends: TrendParams
    physics: PhysicsParams
    size: StepSize
    course: CourseParams
    faults: SensorFaults


def blank_course(n: int, rules: int, start_us: int) -> CourseState:
    """Devices that run and are part of the fleet from ``start_us`` on."""
    return CourseState(
        serving=np.ones(n, np.bool_),
        enters_us=np.full(n, start_us, np.int64),
        leaves_us=np.full(n, FAR_US, np.int64),
        phase=np.full(n, IDLE, np.uint8),
        due_us=np.full(n, FAR_US, np.int64),
        ends_us=np.full(n, FAR_US, np.int64),
        action=np.full(n, -1, np.int16),
        failed_us=np.full(n, NEVER_US, np.int64),
        failed_mode=np.full(n, -1, np.int16),
        renewed_us=np.full(n, start_us, np.int64),
        answer_us=np.full((n, rules), FAR_US, np.int64),
        answer_next_us=np.full(n, FAR_US, np.int64),
    )


def blank_tally(n: int) -> Tally:
    """Nothing counted yet."""
    return Tally(
        service_us=np.zeros(n, np.int64),
        down_us=np.zeros(n, np.int64),
        failures=np.zeros(n, np.int32),
        energy_kwh=np.zeros(n),
        health=np.zeros(n),
        steps=np.zeros(n, np.int32),
        alerts=np.zeros((n, _PRIORITIES), np.int32),
        answered=np.zeros(n, np.int32),
    )


def bench(tile: int, channels: int, dtype: np.dtype[Any]) -> Bench:
    """Room for tiles of up to that many devices."""
    return Bench(
        rows=np.zeros(tile, np.int32),
        event_us=np.zeros(tile, np.int64),
        values=np.zeros((tile, channels), dtype),
        told=np.zeros((tile, channels), dtype),
        present=np.zeros(tile, np.uint64),
        told_present=np.zeros(tile, np.uint64),
    )


@njit(cache=True)
def run_tile(
    twins: Twins,
    model: Model,
    ambient_c: NDArray[np.float64],
    first: int,
    stop: int,
    start_us: int,
    step_us: int,
    with_trends: bool,
    traces: Traces,
    first_step: int,
    room: Bench,
    out: LineResults,
    ev: EventBuffer,
    progress: NDArray[np.int64],
) -> bool:
    """Move rows ``first`` to ``stop`` through the steps of a window; whether it came to the end.

    It stops early where ``ev`` is full; taken up again with the same arguments once that is empty, it goes on.

    Parameters
    ----------
    ambient_c : (steps, sites) at the end of each step, which are at ``start_us + (k + 1) · step_us``
    first_step : of the window, among those of ``traces``
    progress : (5,) where it stopped; zeros to begin with. Who empties ``ev`` sets ``HEARD`` to 0.
    """
    s, c = twins.physics, model.course
    every = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - room.values.shape[1])
    n = stop - first
    low, high = np.searchsorted(model.faults.row, first), np.searchsorted(model.faults.row, stop)
    while progress[STEP] < len(ambient_c):
        k = progress[STEP]
        t_us = start_us + (k + 1) * step_us
        if progress[STAGE] == _MOVE:
            _change(twins, model, first, stop, t_us)
            physics.step(s, model.physics, model.size, ambient_c[k], first, stop, t_us, room.values)
            _fail(twins, first, stop, t_us)
            room.present[:n] = every
            if high > low:
                fail_sensors(
                    model.faults, low, high, s.life_key, first, t_us, room.values[:n], room.present[:n]
                )
            round_into(room.values[:n], c.resolution, c.per_unit, room.values[:n])
            progress[LINES] = _told(twins.course, first, n, t_us, room)
            progress[STAGE], progress[LINE] = _TELL, 0
        lines = progress[LINES]
        if progress[STAGE] == _TELL:
            progress[LINE] = apply_lines(
                twins.core, twins.signals, twins.alerts, model.limits, model.signals, model.alerts,
                room.rows[:lines], room.event_us[:lines], room.told[:lines], room.told_present[:lines], t_us,
                progress[LINE], out, ev,
            )  # fmt: skip
            _hear(twins, c, ev, progress)
            if progress[LINE] < lines:
                return False
            progress[STAGE] = _ANSWER
        if c.present and not _answer(twins, c, first, stop, t_us, ev):
            return False
        if with_trends:
            trends.lean(
                twins.trends, model.trends, room.rows[:lines], room.event_us[:lines], room.told[:lines],
                room.told_present[:lines], out.fate[:lines], out.bad[:lines] | out.late[:lines],
            )  # fmt: skip
        _count(twins, c, first, n, step_us, room)
        if len(traces.values):
            _trace(twins, traces, first, n, first_step + k, room)
        progress[STEP], progress[STAGE] = k + 1, _MOVE
    return True


@njit(cache=True)
def _change(twins: Twins, model: Model, first: int, stop: int, t_us: int) -> None:
    """Whatever is due up to ``t_us``: devices come and go, work begins and ends."""
    course, s = twins.course, twins.physics
    for r in range(first, stop):
        if not course.serving[r] and course.enters_us[r] <= t_us < course.leaves_us[r]:
            course.serving[r] = True
            _renew(twins, model, r)
            s.running[r] = True
            course.renewed_us[r] = course.enters_us[r]
        elif course.serving[r] and course.leaves_us[r] <= t_us:
            course.serving[r] = False
        if course.due_us[r] > t_us:
            continue
        if course.phase[r] == BOOKED:
            course.phase[r], course.due_us[r] = AT_WORK, course.ends_us[r]
            s.running[r] = False
        if course.phase[r] == AT_WORK and course.due_us[r] <= t_us:
            _finish(twins, model, r, int(course.action[r]))
            course.renewed_us[r] = course.ends_us[r]
            course.phase[r], course.action[r] = IDLE, -1
            course.due_us[r] = course.ends_us[r] = FAR_US


@njit(cache=True)
def _renew(twins: Twins, model: Model, r: int) -> None:
    """It is another machine, or put right: a new life-cycle of device and twin."""
    c = model.course
    life_cycle = int(twins.physics.life_cycle[r]) + 1
    physics.new_life(twins.physics, model.physics, r, c.seed, c.replication, life_cycle)
    twins.core.life_cycle[r] += 1
    twins.alerts.scores[r] = np.nan
    twins.trends.share[r] = 0.0


@njit(cache=True)
def _finish(twins: Twins, model: Model, r: int, action: int) -> None:
    """What work does to a device and its twin, as in ``Simulator.maintain`` and ``Shard``'s maintenance."""
    c, s, p = model.course, twins.physics, model.physics
    modes = s.wear.shape[1]
    if c.renews[action]:
        wear, pace = s.wear[r].copy(), s.pace[r].copy()
        _renew(twins, model, r)
        for m in range(modes):
            share = c.resets[action, m]
            if share < 1.0:
                s.wear[r, m] = physics.wear_of(p, m, physics.damage_of(p, m, wear[m]) * (1.0 - share))
                s.pace[r, m] = pace[m]
        if c.relearns[action]:
            signals.relearn(twins.signals, model.signals, r)
            twins.trends.trend[r] = np.nan
            twins.trends.since_us[r] = NEVER_US
        else:
            signals.reset_detectors(twins.signals, model.signals, r)
    course, worst, mode = twins.course, 0.0, -1
    for m in range(modes):
        if s.wear[r, m] > worst:
            worst, mode = s.wear[r, m], m
    s.running[r] = worst < 1.0
    if worst < 1.0:
        course.failed_us[r], course.failed_mode[r] = NEVER_US, -1
    elif course.failed_us[r] == NEVER_US:  # it came to its end while people were at work on something else
        course.failed_us[r], course.failed_mode[r] = course.ends_us[r], mode
        twins.tally.failures[r] += 1


@njit(cache=True)
def _fail(twins: Twins, first: int, stop: int, t_us: int) -> None:
    """Devices that run although a failure mode has come to its end stop."""
    course, s = twins.course, twins.physics
    for r in range(first, stop):
        if not s.running[r] or not course.serving[r]:
            continue
        worst = 0.0
        for m in range(s.wear.shape[1]):
            if s.wear[r, m] > worst:
                worst = s.wear[r, m]
                course.failed_mode[r] = m
        if worst >= 1.0:
            s.running[r] = False
            course.failed_us[r] = t_us
            twins.tally.failures[r] += 1


@njit(cache=True)
def _told(course: CourseState, first: int, n: int, t_us: int, room: Bench) -> int:
    """Lay out the lines of devices that are part of the fleet and say anything; returns how many."""
    lines = 0
    for i in range(n):
        if course.serving[first + i] and room.present[i]:
            room.rows[lines] = first + i
            room.event_us[lines] = t_us
            room.told[lines] = room.values[i]
            room.told_present[lines] = room.present[i]
            lines += 1
    return lines


@njit(cache=True)
def _hear(twins: Twins, c: CourseParams, ev: EventBuffer, progress: NDArray[np.int64]) -> None:
    """Count what was annunciated since last time, and let somebody come to it."""
    course, a = twins.course, twins.alerts
    for i in range(progress[HEARD], ev.used[0]):
        kind, r, k = ev.items[i].kind, int(ev.items[i].row), int(ev.items[i].slot)
        if kind in (_RAISED, _RERAISED):
            twins.tally.alerts[r, c.priority[k]] += 1
        elif kind != _LATCHED_EVENT:
            continue
        if c.present and course.answer_us[r, k] == FAR_US:
            word = word_of(a, r, k)
            if word & (UNACKED | LATCHED) and not word & HIDDEN:
                _expect(twins, c, r, k, word, ev.items[i].at_us)
    progress[HEARD] = ev.used[0]


@njit(cache=True)
def _expect(twins: Twins, c: CourseParams, r: int, k: int, word: int, from_us: int) -> None:
    """Draw when somebody comes to acknowledge an alert or, that done, to reset it."""
    course = twins.course
    asked = word & UNACKED > 0
    drawn = normal(block(twins.physics.life_key[r], OPERATOR, word >> 8, 2 * k + (0 if asked else 1))[0])
    median_us = c.acknowledge_us if asked else c.reset_us
    due_us = from_us + int(median_us * np.exp(c.spread * drawn))
    course.answer_us[r, k] = due_us
    course.answer_next_us[r] = min(course.answer_next_us[r], due_us)


@njit(cache=True)
def _answer(twins: Twins, c: CourseParams, first: int, stop: int, t_us: int, ev: EventBuffer) -> bool:
    """Acknowledge and reset what somebody has come to by ``t_us``; False where ``ev`` is full before the end."""
    course, a = twins.course, twins.alerts
    for r in range(first, stop):
        if course.answer_next_us[r] > t_us:
            continue
        if ev.used[0] > len(ev.items) - MAX_EVENTS_PER_LINE:
            return False
        course.answer_next_us[r] = FAR_US
        for k in range(course.answer_us.shape[1]):
            due_us = course.answer_us[r, k]
            if due_us > t_us:
                course.answer_next_us[r] = min(course.answer_next_us[r], due_us)
                continue
            course.answer_us[r, k] = FAR_US
            word = word_of(a, r, k)
            if word & HIDDEN or not word & FLAGS:
                continue
            if word & UNACKED:
                lifecycle.acknowledge(a, r, k, t_us, ev)
                twins.tally.answered[r] += 1
                word = word_of(a, r, k)
                if word & LATCHED:
                    _expect(twins, c, r, k, word, t_us)
            elif word & LATCHED:
                lifecycle.reset(a, r, k, t_us, ev)
    return True


@njit(cache=True)
def _count(twins: Twins, c: CourseParams, first: int, n: int, step_us: int, room: Bench) -> None:
    """Add a step to the tally."""
    tally, running = twins.tally, twins.physics.running
    hours = step_us / HOUR_US
    for i in range(n):
        r = first + i
        if not twins.course.serving[r]:
            continue
        tally.service_us[r] += step_us
        if not running[r]:
            tally.down_us[r] += step_us
        health = twins.signals.health[r]
        if health == health:
            tally.health[r] += health
            tally.steps[r] += 1
    for j in range(len(c.power_kw)):
        if c.power_kw[j] == 0.0:
            continue
        for i in range(n):
            value = np.float64(room.values[i, j])
            if value == value and twins.course.serving[first + i]:
                tally.energy_kwh[first + i] += value * c.power_kw[j] * hours


@njit(cache=True)
def _trace(twins: Twins, traces: Traces, first: int, n: int, step: int, room: Bench) -> None:
    """Keep a step of the devices that are traced."""
    for i in range(n):
        at = traces.place[first + i]
        if at >= 0:
            traces.values[step, at] = room.values[i]
            traces.health[step, at] = twins.signals.health[first + i]
            traces.wear[step, at] = twins.physics.wear[first + i]
            traces.running[step, at] = twins.physics.running[first + i]


@njit(cache=True)
def rekey(s: PhysicsState, seed: int, replication: int) -> None:
    """Give devices the luck of a replication from here on: draws of their own, and of the life that they are in."""
    for r in range(len(s.device)):
        s.device_key[r] = life_key(seed, replication, s.device[r], 0)
        s.life_key[r] = life_key(seed, replication, s.device[r], s.life_cycle[r])
        s.knot[r] = _NO_KNOT


@njit(cache=True)
def forget_knots(s: PhysicsState, changed: NDArray[np.bool_]) -> None:
    """Let the load of devices be drawn again for what they are now asked to do."""
    for r in range(len(changed)):
        if changed[r]:
            s.knot[r] = _NO_KNOT


@njit(cache=True)
def hurry(
    s: PhysicsState, p: PhysicsParams, rows: NDArray[np.int64], mode: int, damage: float, speed: float
) -> None:
    """Let a mode have at least ``damage`` and go on ``speed`` times as fast as is the device's own, as in ``Simulator``."""
    least = physics.wear_of(p, mode, damage)
    for r in rows:
        s.pace[r, mode] = physics.own_pace(s, p, r, mode) * speed
        s.wear[r, mode] = max(least, s.wear[r, mode])


@njit(cache=True)
def stand_failed(s: PhysicsState, course: CourseState, n: int, at_us: int) -> None:
    """Note which of the first ``n`` devices stand still at the fork: they have failed, by what they are most worn by."""
    for r in range(n):
        worst = -1.0
        mode = -1
        for m in range(s.wear.shape[1]):
            if s.wear[r, m] > worst:
                worst, mode = s.wear[r, m], m
        if mode >= 0 and (worst >= 1.0 or not s.running[r]):
            s.running[r] = False
            s.wear[r, mode] = 1.0
            course.failed_us[r], course.failed_mode[r] = at_us, mode


@njit(cache=True)
def active_alerts(a: AlertState, n: int, rules: int) -> NDArray[np.bool_]:
    """(n, rules) alerts whose condition holds, wherever they were put aside to."""
    found = np.zeros((n, rules), np.bool_)
    for r in range(n):
        for k in range(rules):
            found[r, k] = word_of(a, r, k) & ACTIVE > 0
    return found


@njit(cache=True)
def mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """``draws.mix`` of each."""
    out = np.empty_like(words)
    for i in range(len(words)):
        out[i] = mix(words[i])
    return out


@njit(cache=True)
def uniforms(keys: NDArray[np.uint64], stream: int, number: int) -> NDArray[np.float64]:
    """A number above 0 and below 1 for each key, of a stream."""
    out = np.empty(len(keys))
    for i in range(len(keys)):
        out[i] = uniform(block(keys[i], stream, 0, number)[0])
    return out
