"""How devices of a type are loaded, wear out and answer: for the simulator, for estimation and for forks.

A device type compiled to arrays (``PhysicsParams``), the condition of many devices (``PhysicsState``, rows
first) and one compiled step over rows: load, wear, damage, channel values. A row's result depends on that
row, the time and the step's length alone, so it is the same bits however rows are cut into chunks.

* Load and weather are functions of time and of counter-based draws, not of the steps that led there.
* Wear is damage made linear: it grows with time, load and ambient, and is 1 at failure. Damage follows from
  it in closed form, so that neither depends on the length of steps.
* A channel answers with a first-order lag, in closed form, stable for any step.

Source of the growth law: Gebraeel et al., Residual-life distributions from component degradation signals, IIE
Transactions 37, 2005 (exponential); Paris and Erdogan 1963 (powers). Load and ambient: ISO 281, Arrhenius.
"""

import math
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twins.clock import DAY_US, HOUR_US, SECOND_US
from twins.devices import MAX_LOAD, DeviceType, FailureMode, LoadProfile
from twins.draws import (
    DEVICE,
    LIFE,
    LOAD,
    NOISE,
    WEATHER,
    block,
    fill_normals,
    fill_words,
    life_key,
    normal,
    uniform,
)

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LOAD_STEPS: Final = 300
"""Responses are tabulated on steps of 0.005 of load from 0 to ``MAX_LOAD``, straight lines between."""
DAMAGE_STEPS: Final = 128
"""Marks of damage are tabulated likewise, from 0 to 1."""

AMBIENT_SD_K: Final = 6.5
"""Standard deviation of outdoor temperature over a year in temperate Europe: seasons, days and weather."""

GAUGE: Final = 0
COUNTER: Final = 1
STATE: Final = 2
FLAG: Final = 3
_KINDS: Final = {"gauge": GAUGE, "counter": COUNTER, "state": STATE, "flag": FLAG}

_TILE: Final = 256
_NO_KNOT: Final = np.iinfo(np.int64).min
_PLAN_STEP_US: Final = 900 * SECOND_US
_PLAN_STEPS: Final = 7 * 96
_WEEK_US: Final = 7 * DAY_US
_TO_MONDAY_US: Final = 3 * DAY_US  # 1970-01-01 was a Thursday
_YEAR_US: Final = 365.25 * DAY_US
_WARMEST_YEARDAY: Final = 200.0
_WARMEST_HOUR: Final = 14.0
_WEATHER_KNOT_US: Final = 18 * HOUR_US


class PhysicsParams(NamedTuple):
    """A device type as arrays over channels (C), failure modes (M) and effects (E)."""

    kind: NDArray[np.uint8]  # (C,) GAUGE, COUNTER, STATE or FLAG
    healthy: Matrix  # (C, LOAD_STEPS + 1) value of a healthy channel at each load; a counter's rate per hour
    ambient_gain: Vector  # (C,) per K
    tau_s: Vector  # (C,)
    noise: Vector  # (C,)
    spread: Vector  # (C,)
    low: Vector  # (C,) a transmitter saturates there
    high: Vector  # (C,)
    plan: Vector  # (_PLAN_STEPS + 1,) load over the week from Monday 00:00 UTC
    levels: Vector  # (L,) loads to hold in turn; empty: follow the plan
    any_level: bool  # draw the level, rather than take the one nearest to the plan
    wander: float
    wander_us: int
    load_spread: float
    load_low: float
    load_high: float
    reference_c: float
    wear_per_h: Vector  # (M,) at rated load and reference ambient
    exposure: Matrix  # (M, LOAD_STEPS + 1) factor of wear at each load
    ambient_per_k: Vector  # (M,)
    scatter: Vector  # (M,)
    shape: Vector  # (M,) of Weibull lives; 0: lognormal ones
    growth: Vector  # (M,) growth exponent
    seed: Vector  # (M,) damage below which growth is linear
    knee: Vector  # (M,) scaled time at which damage reaches the seed
    span: Vector  # (M,) scaled time from there to failure
    first_effect: NDArray[np.int64]  # (M + 1,) effects of mode m are first_effect[m] : first_effect[m + 1]
    effect_channel: NDArray[np.int64]  # (E,)
    effect_shift: Vector  # (E,)
    effect_noise: Vector  # (E,) noise factor less one
    effect_per_load: NDArray[np.bool_]  # (E,)
    mark: Matrix  # (E, DAMAGE_STEPS + 1) damage ** exponent


class PhysicsState(NamedTuple):
    """What devices are, apart from what they report: one row each."""

    device: NDArray[np.uint64]  # (n,) hash of the id
    device_key: NDArray[np.uint64]  # (n,) draws of the device's own: spread, load
    life_key: NDArray[np.uint64]  # (n,) draws of its present life-cycle: scatter, noise
    life_cycle: NDArray[np.int32]  # (n,)
    site: NDArray[np.int32]  # (n,) row of ``Sites``
    running: NDArray[np.bool_]  # (n,) off: stands still, at load 0
    load_factor: Vector  # (n,) how much more than the plan it is asked to do
    phase_us: NDArray[np.int64]  # (n,) so that not all loads turn at once
    knot: NDArray[np.int64]  # (n,) which two draws of load are held; a memory, not a state
    knots: Matrix  # (n, 2)
    wear: Matrix  # (n, M) 0 new, 1 failed
    pace: Matrix  # (n, M) how much faster than its type it wears: scatter, injected faults
    lagged: Matrix  # (n, C) value before offset and noise; counters: the count; NaN until the first step
    offset: Matrix  # (n, C) the device's own constant offset


class Sites(NamedTuple):
    """Where devices stand, as arrays over sites: °C."""

    mean_c: Vector
    yearly_c: Vector  # half the way from the coldest to the warmest day
    daily_c: Vector  # half the way from the coldest to the warmest hour
    weather_c: Vector  # standard deviation of what weather adds
    key: NDArray[np.uint64]


class StepSize(NamedTuple):
    """What follows from the length of a step."""

    hours: float
    wear_hours: float  # the same, sped up for demonstrations
    lag: Vector  # (C,) share of the way to its target that a channel goes


def physics_params(device_type: DeviceType) -> PhysicsParams:
    """The arrays of a device type."""
    channels, modes = device_type.channels, device_type.failure_modes
    responses = [channel.response for channel in channels]
    effects = [effect for mode in modes for effect in mode.effects]
    grid = np.linspace(0.0, MAX_LOAD, LOAD_STEPS + 1)
    damage = np.linspace(0.0, 1.0, DAMAGE_STEPS + 1)
    load = device_type.load
    healthy = np.zeros((len(channels), LOAD_STEPS + 1))
    for c, response in enumerate(responses):
        if response.curve:
            at, value = np.array(response.curve).T
            healthy[c] = np.interp(grid, at, value)
        else:
            healthy[c] = response.base + response.load_gain * grid**response.load_exponent
    spans = [_spans(mode) for mode in modes]
    return PhysicsParams(
        kind=np.array([_KINDS[channel.kind] for channel in channels], np.uint8),
        healthy=healthy,
        ambient_gain=_vector(response.ambient_gain for response in responses),
        tau_s=_vector(response.tau_s for response in responses),
        noise=_vector(response.noise for response in responses),
        spread=_vector(response.spread for response in responses),
        low=_vector(channel.low for channel in channels),
        high=_vector(channel.high for channel in channels),
        plan=_plan(load),
        levels=_vector(sorted(load.levels)),
        any_level=load.pick == "random",
        wander=load.wander,
        wander_us=max(1, round(load.wander_h * HOUR_US)),
        load_spread=load.spread,
        load_low=load.low,
        load_high=min(load.high, MAX_LOAD),
        reference_c=device_type.ambient_reference_c,
        wear_per_h=_vector(
            mode.rate_per_h / (knee + span) for mode, (knee, span) in zip(modes, spans, strict=True)
        ),
        exposure=np.array([grid**mode.load_exponent for mode in modes]).reshape(len(modes), LOAD_STEPS + 1),
        ambient_per_k=_vector(mode.ambient_per_k for mode in modes),
        scatter=_vector(mode.scatter for mode in modes),
        shape=_vector(mode.shape for mode in modes),
        growth=_vector(mode.growth_exponent for mode in modes),
        seed=_vector(mode.seed for mode in modes),
        knee=_vector(knee for knee, _ in spans),
        span=_vector(span for _, span in spans),
        first_effect=np.cumsum([0, *(len(mode.effects) for mode in modes)]),
        effect_channel=np.array([device_type.channel_index(e.channel) for e in effects], np.int64),
        effect_shift=_vector(effect.shift for effect in effects),
        effect_noise=_vector(effect.noise_factor - 1.0 for effect in effects),
        effect_per_load=np.array([effect.per_load for effect in effects], np.bool_),
        mark=np.array([damage**effect.exponent for effect in effects]).reshape(
            len(effects), DAMAGE_STEPS + 1
        ),
    )


def blank_physics(capacity: int, device_type: DeviceType) -> PhysicsState:
    """Rows for ``capacity`` devices that do not exist yet."""
    channels, modes = len(device_type.channels), len(device_type.failure_modes)
    return PhysicsState(
        device=np.zeros(capacity, np.uint64),
        device_key=np.zeros(capacity, np.uint64),
        life_key=np.zeros(capacity, np.uint64),
        life_cycle=np.zeros(capacity, np.int32),
        site=np.zeros(capacity, np.int32),
        running=np.ones(capacity, np.bool_),
        load_factor=np.ones(capacity),
        phase_us=np.zeros(capacity, np.int64),
        knot=np.full(capacity, _NO_KNOT, np.int64),
        knots=np.zeros((capacity, 2)),
        wear=np.zeros((capacity, modes)),
        pace=np.ones((capacity, modes)),
        lagged=np.full((capacity, channels), np.nan),
        offset=np.zeros((capacity, channels)),
    )


def step_size(p: PhysicsParams, dt_s: float, speedup: float = 1.0) -> StepSize:
    """What follows from steps of ``dt_s`` seconds; damage grows ``speedup`` times as fast as it should."""
    with np.errstate(divide="ignore"):
        lag = np.where(p.tau_s > 0.0, -np.expm1(-dt_s / np.where(p.tau_s > 0.0, p.tau_s, 1.0)), 1.0)
    hours = dt_s / 3600.0
    return StepSize(hours=hours, wear_hours=hours * speedup, lag=lag)


def natural_spread(device_type: DeviceType, ambient_sd_k: float = AMBIENT_SD_K) -> Vector:
    """How far a healthy device's channels stray from their mean within one operating regime, noise aside.

    Load moves within a regime over the week and wanders; ambient temperature moves through days and years. A
    baseline of an hour has seen neither, so a channel is not to be believed steadier than this in the long
    run.

    Parameters
    ----------
    ambient_sd_k : standard deviation of the ambient temperature over a year, K

    Returns
    -------
    (C,) standard deviations in the channels' units; zero for counters, and where the type has no response.
    """
    p = physics_params(device_type)
    if len(p.levels):
        loads = p.levels
    else:
        bend = np.array([NormalDist().inv_cdf((i + 0.5) / 32) for i in range(32)])
        wander = bend * math.hypot(p.wander, p.load_spread * device_type.load.mean)
        loads = np.clip(p.plan[:-1, None] + wander, p.load_low, p.load_high).ravel()
    grid = np.linspace(0.0, MAX_LOAD, LOAD_STEPS + 1)
    means = np.array([np.interp(loads, grid, healthy) for healthy in p.healthy])
    regime = np.zeros(len(loads), np.int64)
    for condition in device_type.conditions:
        bins = np.searchsorted(condition.edges, means[device_type.channel_index(condition.channel)])
        regime = regime * (len(condition.edges) + 1) + bins
    within = np.zeros(len(p.kind))
    for one in np.unique(regime):
        inside = regime == one
        within += inside.mean() * means[:, inside].var(axis=1)
    spread = np.sqrt(within + (p.ambient_gain * ambient_sd_k) ** 2)
    return np.where(p.kind == COUNTER, 0.0, spread)


@njit(cache=True)
def begin(s: PhysicsState, p: PhysicsParams, start: int, stop: int, seed: int, replication: int) -> None:
    """Draw what is a device's own, and begin its first life; ``device`` and ``site`` are set before.

    Offsets are normal with the channel's spread; the load factor is normal around 1, at least 0.2.
    """
    channels = s.offset.shape[1]
    for r in range(start, stop):
        key = life_key(seed, replication, s.device[r], 0)
        s.device_key[r] = key
        s.phase_us[r] = np.int64(s.device[r] % np.uint64(p.wander_us))
        w0, w1, w2, w3 = block(key, DEVICE, 0, 0)
        s.load_factor[r] = max(0.2, 1.0 + p.load_spread * normal(w0))
        for c in range(channels):
            lane = c % 4
            if lane == 0:
                w0, w1, w2, w3 = block(key, DEVICE, 0, 1 + c // 4)
            word = w0 if lane == 0 else (w1 if lane == 1 else (w2 if lane == 2 else w3))
            s.offset[r, c] = p.spread[c] * normal(word)
        s.knot[r] = _NO_KNOT
        s.running[r] = True
        s.lagged[r, :] = np.nan
        new_life(s, p, r, seed, replication, 0)


@njit(cache=True)
def new_life(s: PhysicsState, p: PhysicsParams, r: int, seed: int, replication: int, life_cycle: int) -> None:
    """Begin a life-cycle of row ``r``: new draws for noise, and all damage gone at a pace drawn anew."""
    key = life_key(seed, replication, s.device[r], life_cycle)
    s.life_key[r] = key
    s.life_cycle[r] = life_cycle
    for m in range(s.wear.shape[1]):
        s.wear[r, m] = 0.0
        s.pace[r, m] = own_pace(s, p, r, m)


@njit(cache=True)
def own_pace(s: PhysicsState, p: PhysicsParams, r: int, m: int) -> float:
    """How much faster than its type row ``r`` wears in mode ``m`` in its present life-cycle; lognormal of median 1, or
    that of a Weibull life of scale 1."""
    word = block(s.life_key[r], LIFE, m, 0)[0]
    if p.shape[m] > 0.0:
        return (-math.log(uniform(word))) ** (-1.0 / p.shape[m])
    return math.exp(p.scatter[m] * normal(word))


@njit(cache=True)
def ambient(sites: Sites, t_us: int, out: Vector) -> None:
    """Ambient temperature at each site, °C, into ``out`` (sites,).

    Mean, a yearly wave (warmest on day 200), a daily wave (warmest at 14:00 UTC) and weather: normal draws
    every 18 hours with straight lines between them.
    """
    yearday = (t_us % _YEAR_US) / DAY_US
    hour = (t_us % DAY_US) / HOUR_US
    yearly = math.cos(2.0 * math.pi * (yearday - _WARMEST_YEARDAY) / 365.25)
    daily = math.cos(2.0 * math.pi * (hour - _WARMEST_HOUR) / 24.0)
    knot = t_us // _WEATHER_KNOT_US
    part = (t_us - knot * _WEATHER_KNOT_US) / _WEATHER_KNOT_US
    for i in range(len(out)):
        before = normal(block(sites.key[i], WEATHER, knot, 0)[0])
        after = normal(block(sites.key[i], WEATHER, knot + 1, 0)[0])
        weather = sites.weather_c[i] * (before + (after - before) * part)
        out[i] = sites.mean_c[i] + sites.yearly_c[i] * yearly + sites.daily_c[i] * daily + weather


@njit(cache=True, inline="always")
def damage_of(p: PhysicsParams, m: int, wear: float) -> float:
    """Damage of mode ``m`` from 0 to 1 at a wear from 0 to 1: the growth law solved for time."""
    if wear >= 1.0:
        return 1.0
    time = wear * (p.knee[m] + p.span[m])
    exponent, seed = p.growth[m], p.seed[m]
    if exponent == 0.0:
        return time
    past = time - p.knee[m]
    if past <= 0.0:
        return time * seed / p.knee[m]
    if exponent == 1.0:
        return min(1.0, seed * math.exp(past))
    if exponent == 0.5:
        root = math.sqrt(seed) + 0.5 * past
        return min(1.0, root * root)
    if exponent == 1.5:
        root = 1.0 / (1.0 / math.sqrt(seed) - 0.5 * past)
        return min(1.0, root * root)
    return min(1.0, (seed ** (1.0 - exponent) + (1.0 - exponent) * past) ** (1.0 / (1.0 - exponent)))


@njit(cache=True)
def wear_of(p: PhysicsParams, m: int, damage: float) -> float:
    """The wear of mode ``m`` at which it has this damage: the inverse of ``damage_of``."""
    if damage >= 1.0:
        return 1.0
    exponent, seed = p.growth[m], p.seed[m]
    if exponent == 0.0:
        return damage
    if damage <= seed:
        return p.knee[m] * (damage / seed) / (p.knee[m] + p.span[m])
    if exponent == 1.0:
        past = math.log(damage / seed)
    else:
        past = (damage ** (1.0 - exponent) - seed ** (1.0 - exponent)) / (1.0 - exponent)
    return (p.knee[m] + past) / (p.knee[m] + p.span[m])


@njit(cache=True)
def damages(s: PhysicsState, p: PhysicsParams, start: int, stop: int, out: Matrix) -> None:
    """Damage of rows ``start`` to ``stop`` by mode, into ``out`` (stop − start, M)."""
    for r in range(start, stop):
        for m in range(s.wear.shape[1]):
            out[r - start, m] = damage_of(p, m, s.wear[r, m])


@njit(cache=True)
def step(
    s: PhysicsState,
    p: PhysicsParams,
    size: StepSize,
    ambient_c: Vector,
    start: int,
    stop: int,
    t_us: int,
    values: NDArray[np.float32] | NDArray[np.float64],
) -> None:
    """Bring rows ``start`` to ``stop`` forward by one step, to time ``t_us``, and say what they report.

    Parameters
    ----------
    ambient_c : (sites,) at ``t_us``
    values : (stop − start, C) written, in range, not yet rounded to the channels' resolution. Never NaN.
    """
    channels, modes = s.lagged.shape[1], s.wear.shape[1]
    lanes = 4 * ((channels + 3) // 4)
    words = np.zeros((lanes, _TILE), np.uint32)
    noise = np.zeros((lanes, _TILE))
    load = np.empty(_TILE)
    cell = np.empty(_TILE, np.int64)
    part = np.empty(_TILE)
    warmth = np.empty(_TILE)
    damage = np.empty(_TILE)
    shift = np.empty((channels, _TILE))
    louder = np.empty((channels, _TILE))
    for first in range(start, stop, _TILE):
        n = min(_TILE, stop - first)
        _loads(s, p, first, n, t_us, load, cell, part)
        for i in range(n):
            warmth[i] = ambient_c[s.site[first + i]] - p.reference_c
        shift[:, :n] = 0.0
        louder[:, :n] = 1.0
        for m in range(modes):
            _wear(s, p, m, size.wear_hours, first, n, cell, part, warmth, damage)
            for e in range(p.first_effect[m], p.first_effect[m + 1]):
                _mark(p, e, n, damage, load, shift, louder)
        fill_words(s.life_key[first : first + n], NOISE, t_us, 0, words)
        fill_normals(words.reshape(-1), noise.reshape(-1))
        for c in range(channels):
            _respond(s, p, size, c, first, n, cell, part, warmth, shift, louder, noise, values, first - start)


@njit(cache=True)
def _loads(
    s: PhysicsState,
    p: PhysicsParams,
    first: int,
    n: int,
    t_us: int,
    load: Vector,
    cell: NDArray[np.int64],
    part: Vector,
) -> None:
    """Load of each row of the tile, and where it lies in tables over load."""
    plan = _planned(p, t_us)
    for i in range(n):
        r = first + i
        moment = t_us + s.phase_us[r]
        knot = moment // p.wander_us
        if knot != s.knot[r]:
            _tie_knots(s, p, r, knot)
        if not s.running[r]:
            load[i] = 0.0
        elif len(p.levels):
            load[i] = s.knots[r, 0]
        else:
            ahead = (moment - knot * p.wander_us) / p.wander_us
            wander = s.knots[r, 0] + (s.knots[r, 1] - s.knots[r, 0]) * ahead
            load[i] = min(p.load_high, max(p.load_low, plan * s.load_factor[r] + p.wander * wander))
        place = load[i] * (LOAD_STEPS / MAX_LOAD)
        cell[i] = min(LOAD_STEPS - 1, int(place))
        part[i] = place - cell[i]


@njit(cache=True)
def _planned(p: PhysicsParams, t_us: int) -> float:
    """The load that the week's plan has for this time."""
    at = (t_us + _TO_MONDAY_US) % _WEEK_US
    quarter = at // _PLAN_STEP_US
    through = (at - quarter * _PLAN_STEP_US) / _PLAN_STEP_US
    return p.plan[quarter] + (p.plan[quarter + 1] - p.plan[quarter]) * through


@njit(cache=True)
def _tie_knots(s: PhysicsState, p: PhysicsParams, r: int, knot: int) -> None:
    """Draw what row ``r``'s load does around ``knot``."""
    word = block(s.device_key[r], LOAD, knot, 0)[0]
    if len(p.levels) and p.any_level:
        s.knots[r, 0] = p.levels[int(uniform(word) * len(p.levels))]
    elif len(p.levels):
        plan = _planned(p, knot * p.wander_us - s.phase_us[r])
        wanted = plan * s.load_factor[r] + p.wander * normal(word)
        nearest = p.levels[0]
        for level in p.levels:
            if abs(level - wanted) < abs(nearest - wanted):
                nearest = level
        s.knots[r, 0] = nearest
    else:
        s.knots[r, 0] = normal(word)
        s.knots[r, 1] = normal(block(s.device_key[r], LOAD, knot + 1, 0)[0])
    s.knot[r] = knot


@njit(cache=True)
def _wear(
    s: PhysicsState,
    p: PhysicsParams,
    m: int,
    hours: float,
    first: int,
    n: int,
    cell: NDArray[np.int64],
    part: Vector,
    warmth: Vector,
    damage: Vector,
) -> None:
    """Wear mode ``m`` of each row of the tile by ``hours``; its damage afterwards goes into ``damage``."""
    exposure = p.exposure[m]
    scale = p.wear_per_h[m] * hours
    for i in range(n):
        r = first + i
        factor = exposure[cell[i]] + (exposure[cell[i] + 1] - exposure[cell[i]]) * part[i]
        if p.ambient_per_k[m] != 0.0:
            factor *= math.exp(p.ambient_per_k[m] * warmth[i])
        wear = min(1.0, s.wear[r, m] + scale * s.pace[r, m] * factor)
        s.wear[r, m] = wear
        damage[i] = damage_of(p, m, wear)


@njit(cache=True)
def _mark(
    p: PhysicsParams, e: int, n: int, damage: Vector, load: Vector, shift: Matrix, louder: Matrix
) -> None:
    """Add the mark that effect ``e`` leaves on its channel."""
    c = p.effect_channel[e]
    mark = p.mark[e]
    for i in range(n):
        place = damage[i] * DAMAGE_STEPS
        cell = min(DAMAGE_STEPS - 1, int(place))
        depth = mark[cell] + (mark[cell + 1] - mark[cell]) * (place - cell)
        shift[c, i] += p.effect_shift[e] * depth * (load[i] if p.effect_per_load[e] else 1.0)
        louder[c, i] *= 1.0 + p.effect_noise[e] * depth


@njit(cache=True)
def _respond(
    s: PhysicsState,
    p: PhysicsParams,
    size: StepSize,
    c: int,
    first: int,
    n: int,
    cell: NDArray[np.int64],
    part: Vector,
    warmth: Vector,
    shift: Matrix,
    louder: Matrix,
    noise: Matrix,
    values: NDArray[np.float32] | NDArray[np.float64],
    line: int,
) -> None:
    """What channel ``c`` of each row of the tile reports, into ``values`` from ``line`` on."""
    healthy, kind, lag = p.healthy[c], p.kind[c], size.lag[c]
    for i in range(n):
        r = first + i
        target = healthy[cell[i]] + (healthy[cell[i] + 1] - healthy[cell[i]]) * part[i]
        target += p.ambient_gain[c] * warmth[i] + shift[c, i]
        before = s.lagged[r, c]
        if kind == COUNTER:
            value = (0.0 if math.isnan(before) else before) + max(0.0, target) * size.hours
            s.lagged[r, c] = value
        else:
            settled = target if math.isnan(before) else before + (target - before) * lag
            s.lagged[r, c] = settled
            value = settled + s.offset[r, c] + p.noise[c] * louder[c, i] * noise[c, i]
            if kind == STATE:
                value = np.rint(value)
            elif kind == FLAG:
                value = 1.0 if value > 0.5 else 0.0
        values[line + i, c] = min(p.high[c], max(p.low[c], value))


def _plan(load: LoadProfile) -> Vector:
    hours = np.arange(_PLAN_STEPS + 1) * (_PLAN_STEP_US / HOUR_US)
    daily = load.mean + load.daily * np.cos(2.0 * np.pi * (hours - load.peak_hour) / 24.0)
    weekend = (hours % 168.0 >= 120.0) & (hours < 168.0)
    return np.where(weekend, daily * load.weekend, daily)


def _spans(mode: FailureMode) -> tuple[float, float]:
    """Scaled time (hours times rate) from new to the seed, and from the seed to failure."""
    exponent, seed = mode.growth_exponent, mode.seed
    span = -math.log(seed) if exponent == 1.0 else (1.0 - seed ** (1.0 - exponent)) / (1.0 - exponent)
    return seed ** (1.0 - exponent), span


def _vector(values: object) -> Vector:
    return np.array(list(values), np.float64)  # type: ignore[call-overload]
