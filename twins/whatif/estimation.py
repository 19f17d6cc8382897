"""Damage behind the readings: what a twin's wear, pace and offsets may be, estimated from its recent past.

The model is the physics of the type (``twins/physics.py``) and nothing else. Given the load, wear is certain: it
begins somewhere and grows at the device's own pace. So the state of the filter is a handful of constants of each
device (wear at the beginning, pace, offset by channel), and not a path. They are estimated in three steps.

1. *Load and ambient*, bin by bin, from the channels' healthy curves (Gauss and Newton). Channels on which damage
   leaves a mark hardly count, condition channels do.
2. *Residuals*: what a healthy device would have shown (with lag, and with load that moves within a bin) is taken
   away. Bins are gathered into at most ``SPANS`` spans of time, within each of which wear hardly moves; of a span
   and channel there remain the mean, how it goes with load, and its scatter. Nothing else of the data is needed.
3. *Posterior* of wear and pace: draws that are moved through powers of the likelihood, which grow to one as fast as
   enough of the draws still count, and all places that a draw visits are kept (tempered sequential Monte Carlo,
   "waste-free"). The offsets are normal given wear, and are integrated out exactly in every draw.

Why not a filter over time: with constants only, a particle filter lives from jitter that has to be tuned against
impoverishment (Liu and West 2001), and an ensemble Kalman filter takes the likelihood for normal, which it is not
where wear does not show yet. Here the draws are made anew in each round, so nothing impoverishes.

*Confounding.* An offset and a damage that does not move look alike: ``spread`` of the type tells them apart, growth
over the window and marks that go with load add to it. Where wear does not show, its posterior is the prior cut off
where it would show.

*Misfit.* The type is not the truth. Each channel may depart from it by a further offset, a drift over the window, a
tilt over load, and an error in each span, all in proportion to one factor for each device, which is estimated along
with wear (a discrepancy term, Kennedy and O'Hagan 2001): small where the readings follow the law, large where they
contradict it or each other. What the scatter of readings says of noise counts as that of ``NOISE_DEGREES`` readings
at most.

What is kept is the normal distribution with the posterior's mean and covariance in coordinates where the prior is
normal: the normal quantile of wear (a uniform wear is standard normal) and the logarithm of pace; the offsets by
their regression on these.

Sources: O. Cappé et al., Population Monte Carlo, JCGS 13, 2004; P. Del Moral, A. Doucet, A. Jasra, Sequential Monte
Carlo samplers, JRSS B 68, 2006 (tempering by effective sample size); J. Liu, M. West, Combined parameter and state
estimation in simulation-based filtering, 2001; M. Kennedy, A. O'Hagan, Bayesian calibration of computer models, JRSS
B 63, 2001.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from twins.clock import DAY_US, HOUR_US, SECOND_US
from twins.compiling import inlined, kernel
from twins.devices import MAX_LOAD, DeviceType
from twins.draws import block, life_key, normal, uniform
from twins.physics import (
    AMBIENT_SD_K,
    COUNTER,
    GAUGE,
    LOAD_STEPS,
    PhysicsParams,
    PhysicsState,
    damage_of,
    physics_params,
)

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Cube = NDArray[np.float64]
Single = NDArray[np.float32]

ESTIMATE: Final = 32
"""Stream of what is drawn from an estimate."""
SEARCH: Final = 33
CHANCE: Final = 34
"""Streams of the draws that an estimate is made with."""

ESTIMATED: Final = 0
UNHEARD: Final = 1
TOO_SHORT: Final = 2
UNSETTLED: Final = 3
REASONS: Final = ("", "no readings", "too few readings", "readings fit no damage well")
"""Why an estimate is no better than it is, by ``DamageEstimate.reason``."""

SPANS: Final = 8
"""Spans of time that a window is cut into, at most."""
NOISE_DEGREES: Final = 200.0
"""Degrees of freedom with which the scatter of a channel's readings tells of its noise, at most."""
LEAST_BINS: Final = 3
"""Bins with readings that an estimate needs."""
AMBIENT_KNOWN_SD_K: Final = 0.5
"""How well the ambient temperature of a site is known, where it is."""

GROWTH_SD: Final = 0.05
"""What is not known of how wear grew over the window, as a share of it: laws of growth are rough."""

_DRAWS: Final = 1024  # of the posterior
_ON_THE_WAY: Final = 256  # of each stage before
_CHAINS: Final = 32
_STAGES: Final = 30
_LEAST_EFFECTIVE: Final = 0.5
_AT_ONE: Final = 3
_WIDER: Final = 1.3  # variance of proposals, over that of the draws
_WEAR_STEPS: Final = 1024
_WEEK_US: Final = 7 * DAY_US
_TO_MONDAY_US: Final = 3 * DAY_US
_LOAD_FACTOR_SD: Final = 0.05
_MISFIT_MEDIAN: Final = 0.1
_MISFIT_SD: Final = 1.2  # of the logarithm
_DRIFT: Final = 0.1  # of the mark of full damage
_MOST_Z: Final = 4.0


@dataclass(frozen=True, slots=True)
class Observed:
    """Readings of n devices of one type in T bins of equal length, one after the other, by channel (C)."""

    bin_s: float
    start_us: int
    mean: Cube  # (n, T, C) NaN: no reading
    sd: Cube  # (n, T, C) of the readings in the bin (n − 1); NaN: unknown
    count: NDArray[np.int64]  # (n, T, C)


class DamageEstimate(NamedTuple):
    """Posterior of what is behind the readings of n devices, at the end of the window.

    With ξ and η standard normal: θ = ``mean`` + ``factor`` ξ are the normal quantiles of wear by mode (M), and
    after them the logarithms of pace; the offset of a channel is ``offset_mean`` + ``offset_gain`` ξ +
    ``offset_sd`` η.
    """

    reason: NDArray[np.int8]  # (n,) index in ``REASONS``
    mean: Single  # (n, 2 M)
    factor: Single  # (n, 2 M, 2 M) lower triangle
    offset_mean: Single  # (n, C)
    offset_gain: Single  # (n, C, 2 M)
    offset_sd: Single  # (n, C)
    load_factor: Single  # (n, 2) mean and standard deviation
    load: Single  # (n,) of the last bin with readings; of the plan, if there is none
    warmth_k: Single  # (n,) ambient, from the type's reference, in that bin
    latest: Single  # (n, C) the last mean of each channel; NaN: none
    misfit: Single  # (n,) by how much the readings depart from the type, in units of its spread

    @property
    def rows(self) -> int:
        return len(self.mean)

    def take(self, rows: NDArray[np.integer] | slice) -> Self:
        """Those of some rows."""
        parts: list[Any] = [part[rows] for part in self]
        return type(self)(*parts)

    def wear(self, probability: float) -> Matrix:
        """(n, M) the wear that each mode is below with this probability."""
        modes = self.mean.shape[1] // 2
        factor = self.factor[:, :modes].astype(np.float64)
        z = self.mean[:, :modes] + NormalDist().inv_cdf(probability) * np.sqrt((factor**2).sum(axis=2))
        below: Matrix = np.vectorize(_below, otypes=[np.float64])(z)
        return below


class Drawn(NamedTuple):
    """One draw of n devices."""

    wear: Matrix  # (n, M)
    pace: Matrix  # (n, M)
    offset: Matrix  # (n, C)
    load_factor: Vector  # (n,)


class _Law(NamedTuple):
    """A device type as estimation needs it: C channels, M modes, E effects."""

    used: NDArray[np.bool_]  # (C,) gauges that answer to something
    marked: NDArray[np.bool_]  # (C,) those on which damage leaves a mark
    healthy: Matrix  # (C, LOAD_STEPS + 1)
    ambient_gain: Vector  # (C,)
    tau_s: Vector  # (C,)
    noise2: Vector  # (C,) variance of a healthy reading, rounding and all
    spread: Vector  # (C,)
    loose2: Vector  # (C,) variance by offset and damage, as load sees it
    depart: Vector  # (C,) how far a channel departs from the law at a misfit of 1, all the time
    drift: Vector  # (C,) the same over the window
    tilt: Vector  # (C,) the same over one of load
    tilted: Vector  # (C,) over one of load in any case, since lag is known roughly
    low: Vector  # (C,)
    high: Vector  # (C,)
    plan: Vector
    load_sd: float
    held: bool  # load is held at levels
    planned: bool  # load follows the plan
    wander: float
    wander_h: float
    load_low: float
    factor_sd: float
    reference_c: float
    exposure: Matrix  # (M, LOAD_STEPS + 1) wear in a bin at each load
    usual: Vector  # (M,) the same by the plan
    ambient_per_k: Vector  # (M,)
    scatter: Vector  # (M,)
    damage: Matrix  # (M, _WEAR_STEPS + 1) at each wear
    first_effect: NDArray[np.int64]  # (M + 1,)
    channel: NDArray[np.int64]  # (E,)
    shift: Matrix  # (E, _WEAR_STEPS + 1) at each wear, at a load of 1
    louder: Matrix  # (E, _WEAR_STEPS + 1) factor of noise, less one
    per_load: NDArray[np.bool_]  # (E,)


class _Window(NamedTuple):
    """What is known of one device, bin by bin (T) and span by span (K)."""

    load: Vector  # (T,)
    load_var: Vector  # (T,) of the estimate
    moving: Vector  # (T,) variance of load within the bin
    warmth: Vector  # (T,)
    lagged: Vector  # (T,) value of a healthy channel, ambient and lag and all
    lagged_load: Vector  # (T,)
    haze: Vector  # (1,) variance of what is wrong with the ambient temperature all the time
    centre: Vector  # (1,) mean load of the window
    worn: Matrix  # (T + 1, M) wear since the beginning, at a pace of 1
    before: Vector  # (M,) the same between the beginning of the life-cycle and the window
    age: Matrix  # (K, M) the same in the middle of a span
    when: Vector  # (K,) −½ to ½
    weight: Matrix  # (K, C) 1 / variance of the mean
    value: Matrix  # (K, C) mean residual
    at_load: Matrix  # (K, C) mean load, from the window's
    slope: Matrix  # (K, C) of the residual over load, a straight line over time apart
    load2: Matrix  # (K, C) 1 / variance of the slope
    value2: Matrix  # (K, C) weighted sum of squares of what both lines leave
    freedom: Matrix  # (K, C) degrees of freedom of it
    noisy: Matrix  # (K, C) share of the variance that noise has
    degrees: Matrix  # (K, C) of the scatter within bins
    scatter2: Matrix  # (K, C) that scatter, in units of the healthy noise


class _Scratch(NamedTuple):
    """Room for one device's search: N draws of D numbers."""

    u: Matrix  # (N, D)
    likelihood: Vector  # (N,)
    new_u: Matrix  # (N, D)
    new_likelihood: Vector  # (N,)
    start: NDArray[np.int64]  # (chains,)
    v: Vector  # (D,)
    trial: Vector  # (D,)
    weight: Vector  # (N,)
    centre: Vector  # (D,)
    cover: Matrix  # (D, D)
    root: Matrix  # (D, D)
    z: Vector  # (D,)
    a: Vector  # (C,) shift of a span
    b: Vector  # (C,) shift per load
    loud: Vector  # (C,) noise factor
    gram: Matrix  # (C, 6) precision of departures, lower triangle by rows
    pull: Matrix  # (C, 3)
    fit: Vector  # (C,)
    now_mean: Matrix  # (N, C)
    now_var: Matrix  # (N, C)
    theta: Matrix  # (N, 2 M)


def estimate(
    observed: Observed,
    device_type: DeviceType,
    device_keys: NDArray[np.uint64],
    *,
    ambient_c: Matrix | None = None,
    begun_us: NDArray[np.int64] | None = None,
    left: Matrix | None = None,
    speedup: float = 1.0,
) -> DamageEstimate:
    """What may be behind the readings of n devices of a type.

    Parameters
    ----------
    device_keys : (n,) hashes of the ids, as in ``PhysicsState.device``; each device has draws of its own
    ambient_c : (n, T) °C, NaN where unknown; None: unknown, the type's reference within ``AMBIENT_SD_K``
    begun_us : (n,) when the present life-cycle began, µs; bins that began before are left out
    left : (n, M) the share of damage that the maintenance left at that time: 0 for a new part, 1 for an untouched
        one. None: untouched, anything may be. What damage was before is unknown. A part that is not untouched has
        worn since, at the load of the plan where that was before the window.
    speedup : as in ``physics.step_size``

    Returns
    -------
    Row for row. Bins without readings (NaN, or a count of zero) tell nothing but that time went by; a device
    without readings gets the prior, and the reason.

    Raises
    ------
    ValueError : if shapes do not fit each other or the type.
    """
    n, bins, channels = observed.mean.shape
    modes = len(device_type.failure_modes)
    if channels != len(device_type.channels) or len(device_keys) != n:
        raise ValueError(
            f"readings of {n} devices and {channels} channels do not fit {len(device_keys)} keys and "
            f"{len(device_type.channels)} channels of {device_type.name!r}"
        )
    law = _law(device_type, observed.bin_s, speedup)
    spans = max(1, min(SPANS, bins))
    first, earlier = np.zeros(n, np.int64), np.zeros(n)
    if begun_us is not None:
        since = (np.asarray(begun_us) - observed.start_us) / (observed.bin_s * SECOND_US)
        first = np.clip(np.ceil(since), 0, bins).astype(np.int64)
        earlier = np.maximum(0.0, -since)
    kept = np.ones((n, modes)) if left is None else np.ascontiguousarray(left, np.float64)
    if kept.shape != (n, modes):
        raise ValueError(f"left is of shape {kept.shape}, not {(n, modes)}")
    ambient = np.full((n, bins), np.nan) if ambient_c is None else np.asarray(ambient_c, np.float64)
    out = _blank(n, channels, modes)
    _estimate(
        law,
        _window(bins, spans, channels, modes),
        _scratch(channels, modes, _DRAWS),
        _scratch(channels, modes, 1)._replace(cover=np.zeros((2 * modes, 2 * modes))),
        observed.bin_s,
        observed.start_us,
        np.ascontiguousarray(observed.mean, np.float64),
        np.ascontiguousarray(observed.sd, np.float64),
        np.where(np.isnan(observed.mean), 0, observed.count).astype(np.int64),
        np.ascontiguousarray(np.broadcast_to(ambient, (n, bins))),
        first,
        earlier,
        kept,
        np.ascontiguousarray(device_keys, np.uint64),
        out,
    )
    return out


def draw(e: DamageEstimate, seed: int, replication: int, device_keys: NDArray[np.uint64]) -> Drawn:
    """Draw once from the estimate of each device.

    A device's numbers follow from seed, replication and its key alone: they are the same in any chunk of rows.
    """
    n, width = e.mean.shape
    channels = e.offset_mean.shape[1]
    out = Drawn(np.empty((n, width // 2)), np.empty((n, width // 2)), np.empty((n, channels)), np.empty(n))
    _draw(e, seed, replication, np.ascontiguousarray(device_keys, np.uint64), np.empty(width + 1), out)
    return out


def begin_from(
    e: DamageEstimate,
    s: PhysicsState,
    p: PhysicsParams,
    start: int,
    seed: int,
    replication: int,
) -> None:
    """Let rows from ``start`` on be as one draw of the estimate says; ``device`` is set before.

    Wear, pace, offset and load factor are drawn, gauges have settled at the load of the last bin, counters go on
    from their last value. A device that stood still in the last bin (a load below half the least) is off.
    """
    rows = slice(start, start + e.rows)
    drawn = draw(e, seed, replication, s.device[rows])
    s.wear[rows] = drawn.wear
    s.pace[rows] = drawn.pace
    s.offset[rows] = drawn.offset
    s.load_factor[rows] = drawn.load_factor
    s.running[rows] = (e.load >= 0.5 * p.load_low) & (drawn.wear < 1.0).all(axis=1)
    _settle(p, s.wear, e.load, e.warmth_k, e.latest, start, s.lagged)


def _law(device_type: DeviceType, bin_s: float, speedup: float) -> _Law:
    p = physics_params(device_type)
    channels, modes = len(p.kind), len(p.scatter)
    resolution = np.array([channel.resolution for channel in device_type.channels], np.float64)
    size = np.zeros(channels)
    np.add.at(size, p.effect_channel, np.abs(p.effect_shift))
    loudest = np.zeros(channels)
    np.add.at(loudest, p.effect_channel, np.abs(p.effect_noise))
    swing = np.ptp(p.healthy, axis=1) / MAX_LOAD
    scale = p.spread + size + swing + np.abs(p.ambient_gain) * AMBIENT_SD_K
    noise2 = p.noise**2 + resolution**2 / 12.0 + (1e-3 * scale) ** 2
    wear = np.linspace(0.0, 1.0, _WEAR_STEPS + 1)
    damage = np.array([[damage_of(p, m, w) for w in wear] for m in range(modes)]).reshape(modes, len(wear))
    depth = np.zeros((len(p.effect_shift), len(wear)))
    exponents = [effect.exponent for mode in device_type.failure_modes for effect in mode.effects]
    for m in range(modes):
        for i in range(p.first_effect[m], p.first_effect[m + 1]):
            depth[i] = damage[m] ** exponents[i]
    if len(p.levels):
        load_sd = math.hypot(p.wander, float(p.levels.std()) if p.any_level else 0.1)
    else:
        load_sd = math.hypot(p.wander, p.load_spread)
    plan = p.plan if not (len(p.levels) and p.any_level) else np.full_like(p.plan, p.levels.mean())
    exposure = p.exposure * (p.wear_per_h * speedup * bin_s / 3600.0)[:, None]
    grid = np.linspace(0.0, MAX_LOAD, LOAD_STEPS + 1)
    return _Law(
        used=(p.kind == GAUGE) & (scale > 0.0),
        marked=(p.kind == GAUGE) & (size + loudest > 0.0),
        healthy=p.healthy,
        ambient_gain=p.ambient_gain,
        tau_s=p.tau_s,
        noise2=noise2,
        spread=np.maximum(p.spread, 1e-3 * np.sqrt(noise2)),
        loose2=p.spread**2 + (3.0 * size) ** 2,
        depart=p.spread + 0.5 * np.sqrt(noise2) + 0.02 * size,
        drift=p.spread + 0.5 * np.sqrt(noise2) + _DRIFT * size,
        tilted=0.05 * swing * p.tau_s / (p.tau_s + bin_s),
        tilt=p.spread + 0.5 * np.sqrt(noise2) + 0.02 * size + 0.02 * swing,
        low=p.low,
        high=p.high,
        plan=plan,
        load_sd=max(0.1, load_sd),
        held=bool(len(p.levels)),
        planned=not (len(p.levels) and p.any_level),
        wander=max(0.02, p.wander),
        wander_h=p.wander_us / HOUR_US,
        load_low=p.load_low,
        factor_sd=max(p.load_spread, _LOAD_FACTOR_SD),
        reference_c=p.reference_c,
        exposure=exposure,
        usual=np.array([np.interp(plan, grid, each).mean() for each in exposure]),
        ambient_per_k=p.ambient_per_k,
        scatter=np.maximum(p.scatter, 0.02),
        damage=damage,
        first_effect=p.first_effect.astype(np.int64),
        channel=p.effect_channel,
        shift=depth * p.effect_shift[:, None],
        louder=depth * p.effect_noise[:, None],
        per_load=p.effect_per_load,
    )


def _window(bins: int, spans: int, channels: int, modes: int) -> _Window:
    by_channel = [np.zeros((spans, channels)) for _ in range(10)]
    parts: list[Matrix] = [
        *(np.zeros(bins) for _ in range(6)),
        np.zeros(1),
        np.zeros(1),
        np.zeros((bins + 1, modes)),
        np.zeros(modes),
        np.zeros((spans, modes)),
        np.zeros(spans),
        *by_channel,
    ]
    return _Window(*parts)


def _scratch(channels: int, modes: int, n: int) -> _Scratch:
    d = 2 * modes + 1
    return _Scratch(
        u=np.zeros((n, d)),
        likelihood=np.zeros(n),
        new_u=np.zeros((n, d)),
        new_likelihood=np.zeros(n),
        start=np.zeros(_CHAINS, np.int64),
        v=np.zeros(d),
        trial=np.zeros(d),
        weight=np.zeros(n),
        centre=np.zeros(d),
        cover=np.zeros((d, d)),
        root=np.zeros((d, d)),
        z=np.zeros(d),
        a=np.zeros(channels),
        b=np.zeros(channels),
        loud=np.zeros(channels),
        gram=np.zeros((channels, 6)),
        pull=np.zeros((channels, 3)),
        fit=np.zeros(channels),
        now_mean=np.zeros((n, channels)),
        now_var=np.zeros((n, channels)),
        theta=np.zeros((n, 2 * modes)),
    )


def _blank(n: int, channels: int, modes: int) -> DamageEstimate:
    def room(*shape: int) -> Single:
        return np.zeros(shape, np.float32)

    return DamageEstimate(
        reason=np.zeros(n, np.int8),
        mean=room(n, 2 * modes),
        factor=room(n, 2 * modes, 2 * modes),
        offset_mean=room(n, channels),
        offset_gain=room(n, channels, 2 * modes),
        offset_sd=room(n, channels),
        load_factor=room(n, 2),
        load=room(n),
        warmth_k=room(n),
        latest=np.full((n, channels), np.nan, np.float32),
        misfit=room(n),
    )


@inlined
def _below(z: float) -> float:
    """The normal distribution function."""
    return 0.5 * math.erfc(-z * 0.7071067811865476)


@inlined
def _quantile(share: float) -> float:
    """Its inverse: Acklam's rational approximation with one step of Halley; within ±``_MOST_Z``."""
    if share <= 3.2e-5:
        return -_MOST_Z
    if share >= 1.0 - 3.2e-5:
        return _MOST_Z
    tail = min(share, 1.0 - share)
    if tail < 0.02425:
        q = math.sqrt(-2.0 * math.log(tail))
        up = -7.784894002430293e-03 * q - 3.223964580411365e-01
        up = ((up * q - 2.400758277161838) * q - 2.549732539343734) * q + 4.374664141464968
        up = up * q + 2.938163982698783
        down = ((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996) * q
        down = (down + 3.754408661907416) * q + 1.0
        z = up / down
        z = z if share < 0.5 else -z
    else:
        q = share - 0.5
        r = q * q
        up = -3.969683028665376e01 * r + 2.209460984245205e02
        up = ((up * r - 2.759285104469687e02) * r + 1.383577518672690e02) * r - 3.066479806614716e01
        up = (up * r + 2.506628277459239) * q
        down = -5.447609879822406e01 * r + 1.615858368580409e02
        down = ((down * r - 1.556989798598866e02) * r + 6.680131188771972e01) * r - 1.328068155288572e01
        z = up / (down * r + 1.0)
    error = (_below(z) - share) * 2.5066282746310002 * math.exp(0.5 * z * z)
    return z - error / (1.0 + 0.5 * z * error)


@inlined
def _at(table: Vector, place: float) -> float:
    """A value of a table at a place counted in its steps, straight between them, level beyond."""
    last = len(table) - 1
    place = min(float(last), max(0.0, place))
    cell = min(last - 1, int(place))
    return float(table[cell] + (table[cell + 1] - table[cell]) * (place - cell))


@inlined
def _planned(plan: Vector, t_us: int) -> float:
    return _at(plan, ((t_us + _TO_MONDAY_US) % _WEEK_US) / (900.0 * SECOND_US))


@inlined
def _explain(
    law: _Law,
    w: _Window,
    bin_s: float,
    start_us: int,
    mean: Matrix,
    sd: Matrix,
    count: NDArray[np.int64],
    ambient_c: Vector,
    first: int,
) -> int:
    """Load and ambient of each bin from ``first`` on; how many bins have readings."""
    per_load = LOAD_STEPS / MAX_LOAD
    channels = mean.shape[1]
    heard = 0
    sure = 1.0 / AMBIENT_SD_K**2
    for c in range(channels):
        if law.used[c]:
            sure += law.ambient_gain[c] ** 2 / (law.noise2[c] + law.loose2[c])
    w.haze[0] = 0.0
    for t in range(first, len(mean)):
        haze = 1.0 / sure if math.isnan(ambient_c[t]) else AMBIENT_KNOWN_SD_K**2
        w.haze[0] += haze / (len(mean) - first)
        middle_us = start_us + int((t + 0.5) * bin_s * SECOND_US)
        known = not math.isnan(ambient_c[t])
        prior_k = ambient_c[t] - law.reference_c if known else 0.0
        prior_k2 = 1e-4 if known else AMBIENT_SD_K**2  # what is not known well is mostly an offset: ``haze``
        prior, prior2 = _planned(law.plan, middle_us), law.load_sd**2
        load, warmth, least = prior, prior_k, math.inf
        anything = False
        for c in range(channels):
            anything |= law.used[c] and count[t, c] > 0 and not math.isnan(mean[t, c])
        w.load[t], w.warmth[t], w.load_var[t], w.moving[t] = prior, prior_k, prior2, 0.0
        if not anything:
            continue
        heard += 1
        for i in range(31):
            trial = i * (MAX_LOAD / 30)
            cost = (trial - prior) ** 2 / (4.0 * prior2)
            for c in range(channels):
                if law.used[c] and count[t, c] > 0 and not math.isnan(mean[t, c]):
                    gap = mean[t, c] - law.healthy[c, 10 * i] - law.ambient_gain[c] * prior_k
                    gain2 = law.ambient_gain[c] ** 2 * prior_k2
                    cost += gap * gap / (law.noise2[c] / count[t, c] + law.loose2[c] + gain2)
            if cost < least:
                least, load = cost, trial
        precision = 1.0
        for _ in range(6):
            h11, h12, h22 = 1.0 / (4.0 * prior2), 0.0, 1.0 / prior_k2
            g1, g2 = (prior - load) * h11, (prior_k - warmth) * h22
            for c in range(channels):
                if law.used[c] and count[t, c] > 0 and not math.isnan(mean[t, c]):
                    place = load * per_load
                    value = _at(law.healthy[c], place)
                    slope = (_at(law.healthy[c], place + 2.0) - _at(law.healthy[c], place - 2.0)) * (
                        per_load / 4.0
                    )
                    gap = mean[t, c] - value - law.ambient_gain[c] * warmth
                    v = law.noise2[c] / count[t, c] + law.loose2[c]
                    h11 += slope * slope / v
                    h12 += slope * law.ambient_gain[c] / v
                    h22 += law.ambient_gain[c] ** 2 / v
                    g1 += slope * gap / v
                    g2 += law.ambient_gain[c] * gap / v
            det = h11 * h22 - h12 * h12
            load = min(MAX_LOAD, max(0.0, load + min(0.2, max(-0.2, (h22 * g1 - h12 * g2) / det))))
            warmth += (h11 * g2 - h12 * g1) / det
            precision = det / h22
        moved, trusted = 0.0, 0.0
        for c in range(channels):
            if law.used[c] and count[t, c] > 2 and sd[t, c] >= 0.0:
                place = load * per_load
                slope = (_at(law.healthy[c], place + 2.0) - _at(law.healthy[c], place - 2.0)) * (
                    per_load / 4.0
                )
                slope /= 1.0 + law.tau_s[c] / bin_s * 4.0
                v = law.noise2[c] + law.loose2[c]
                trust = (slope * slope / v) ** 2 * count[t, c]
                if trust > 0.0:
                    moved += trust * (sd[t, c] ** 2 - law.noise2[c]) / (slope * slope)
                    trusted += trust
        w.load[t], w.warmth[t], w.load_var[t] = load, warmth, 1.0 / precision
        if trusted > 0.0:
            w.moving[t] = max(0.0, moved / trusted)
    return heard


@inlined
def _age(law: _Law, w: _Window, first: int) -> None:
    """Wear at a pace of 1, from bin ``first`` on."""
    per_load = LOAD_STEPS / MAX_LOAD
    for m in range(len(law.scatter)):
        worn = 0.0
        w.worn[first, m] = 0.0
        for t in range(first, len(w.load)):
            middle, away = w.load[t] * per_load, math.sqrt(w.moving[t]) * per_load
            rate = 0.5 * (_at(law.exposure[m], middle - away) + _at(law.exposure[m], middle + away))
            worn += rate * math.exp(law.ambient_per_k[m] * w.warmth[t])
            w.worn[t + 1, m] = worn


@inlined
def _gather(
    law: _Law, w: _Window, bin_s: float, mean: Matrix, sd: Matrix, count: NDArray[np.int64], first: int
) -> None:
    """Residuals of the bins from ``first`` on, by span and channel."""
    per_load = LOAD_STEPS / MAX_LOAD
    bins, channels = mean.shape
    spans = len(w.when)
    length = bins - first
    centre = 0.0
    for t in range(first, bins):
        centre += w.load[t] / length
    w.centre[0] = centre
    for k in range(spans):
        since, until = first + k * length // spans, first + (k + 1) * length // spans
        w.when[k] = ((since + until) * 0.5 - first) / length - 0.5
        for m in range(len(law.scatter)):
            w.age[k, m] = 0.0
            for t in range(since, until):
                w.age[k, m] += 0.5 * (w.worn[t, m] + w.worn[t + 1, m]) / (until - since)
    for c in range(channels):
        w.weight[:, c] = 0.0
        w.degrees[:, c] = 0.0
        if not law.used[c]:
            continue
        _lag(law, w, c, bin_s, count, first)
        freedom, between = 0.0, 0.0
        for k in range(spans):
            since, until = first + k * length // spans, first + (k + 1) * length // spans
            s1, sl, sll, sr, srl, srr, noise, used = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            st, stt, slt, srt = 0.0, 0.0, 0.0, 0.0
            degrees, squares = 0.0, 0.0
            for t in range(since, until):
                y = mean[t, c]
                if count[t, c] <= 0 or math.isnan(y):
                    continue
                limit = 2.0 * math.sqrt(law.noise2[c])
                if y <= law.low[c] + limit or y >= law.high[c] - limit:
                    continue
                place, away = w.load[t] * per_load, math.sqrt(w.moving[t]) * per_load
                here = _at(law.healthy[c], place)
                slope = (_at(law.healthy[c], place + 2.0) - _at(law.healthy[c], place - 2.0)) * (
                    per_load / 4.0
                )
                bent = 0.5 * (_at(law.healthy[c], place - away) + _at(law.healthy[c], place + away)) - here
                before = _at(law.healthy[c], w.load[max(first, t - 1)] * per_load)
                late = 0.3 * (here - before) * law.tau_s[c] / (law.tau_s[c] + bin_s)
                residual = y - w.lagged[t] - bent
                random = law.noise2[c] / count[t, c]
                model = slope * slope * w.load_var[t] + 0.25 * bent * bent + late * late
                weight = 1.0 / (random + model + 1e-2 * law.noise2[c])
                load = w.lagged_load[t] - centre
                s1 += weight
                sl += weight * load
                sll += weight * load * load
                sr += weight * residual
                srl += weight * residual * load
                srr += weight * residual * residual
                st += weight * (t - since)
                stt += weight * (t - since) ** 2
                slt += weight * (t - since) * load
                srt += weight * (t - since) * residual
                noise += weight * weight * random
                used += 1.0
                moved = slope * slope * w.moving[t]
                if count[t, c] > 2 and sd[t, c] >= 0.0 and moved < 0.5 * law.noise2[c]:
                    degrees += count[t, c] - 1.0
                    squares += (count[t, c] - 1.0) * max(0.0, sd[t, c] ** 2 - moved)
            w.weight[k, c] = s1
            if s1 > 0.0:
                w.value[k, c] = sr / s1
                w.at_load[k, c] = sl / s1
                w.noisy[k, c] = noise / s1
                w.slope[k, c], w.load2[k, c], w.value2[k, c], w.freedom[k, c] = 0.0, 0.0, 0.0, 0.0
                stt -= st * st / s1
                if used >= 3.0 and stt > 0.0:
                    slt -= sl * st / s1
                    srt -= sr * st / s1
                    load2 = sll - sl * sl / s1 - slt * slt / stt
                    value_load = srl - sr * sl / s1 - slt * srt / stt
                    value2 = srr - sr * sr / s1 - srt * srt / stt
                    w.freedom[k, c] = used - 2.0
                    if load2 > 1e-6 * s1:
                        w.slope[k, c], w.load2[k, c] = value_load / load2, load2
                        value2 -= value_load * value_load / load2
                        w.freedom[k, c] -= 1.0
                    w.value2[k, c] = max(0.0, value2)
                between += w.freedom[k, c]
            w.degrees[k, c] = degrees
            w.scatter2[k, c] = squares / (max(1.0, degrees) * law.noise2[c])
            freedom += degrees
        if freedom > NOISE_DEGREES:
            for k in range(spans):
                w.degrees[k, c] *= NOISE_DEGREES / freedom
        if between > NOISE_DEGREES:
            for k in range(spans):
                w.value2[k, c] *= NOISE_DEGREES / between
                w.freedom[k, c] *= NOISE_DEGREES / between


@inlined
def _lag(law: _Law, w: _Window, c: int, bin_s: float, count: NDArray[np.int64], first: int) -> None:
    """Means over each bin of what channel ``c`` shows if healthy, and of load as it sees it."""
    per_load = LOAD_STEPS / MAX_LOAD
    if law.tau_s[c] <= 0.0:
        for t in range(first, len(w.load)):
            w.lagged[t] = _at(law.healthy[c], w.load[t] * per_load) + law.ambient_gain[c] * w.warmth[t]
            w.lagged_load[t] = w.load[t]
        return
    last = len(w.load) - 1
    load = w.load[first]
    value = _at(law.healthy[c], load * per_load) + law.ambient_gain[c] * w.warmth[first]
    seen = load
    for t in range(first, last + 1):
        few = 0 < count[t, c] < 4  # readings of what a step has come to, not means over it
        parts = int(count[t, c]) if few else 4
        keep = math.exp(-bin_s / parts / law.tau_s[c])
        hold = 0.0 if few else law.tau_s[c] / (bin_s / parts) * (1.0 - keep)
        before, after = max(first, t - 1), min(last, t + 1)
        bend = 0.0 if few or law.held else (w.load[before] + w.load[after] - 2.0 * w.load[t]) / 24.0
        total, total_load = 0.0, 0.0
        for i in range(parts):
            ahead = (i + 0.5) / parts - 0.5
            other = after if ahead > 0.0 else before
            load = w.load[t] - bend
            if not law.held:
                load += (w.load[other] - load) * abs(ahead)
            warmth = w.warmth[t] + (w.warmth[other] - w.warmth[t]) * abs(ahead)
            target = _at(law.healthy[c], load * per_load) + law.ambient_gain[c] * warmth
            after_step, seen_after = target + (value - target) * keep, load + (seen - load) * keep
            total += after_step if few else target + (value - target) * hold
            total_load += seen_after if few else load + (seen - load) * hold
            value, seen = after_step, seen_after
        w.lagged[t] = total / parts
        w.lagged_load[t] = total_load / parts


@inlined
def _begun(law: _Law, m: int, u: float, left: float) -> float:
    """Wear of mode ``m`` at the beginning: uniform, of whose damage maintenance left a share."""
    wear = _below(u)
    if left >= 1.0:
        return wear
    if left <= 0.0:
        return 0.0
    damage = left * _at(law.damage[m], wear * _WEAR_STEPS)
    low, high = 0, _WEAR_STEPS
    while high - low > 1:
        middle = (low + high) // 2
        if law.damage[m, middle] <= damage:
            low = middle
        else:
            high = middle
    step = law.damage[m, high] - law.damage[m, low]
    return float((low + (damage - law.damage[m, low]) / max(step, 1e-300)) / _WEAR_STEPS)


@inlined
def _likelihood(
    law: _Law, w: _Window, x: _Scratch, u: Vector, left: Vector, alive: bool, whole: bool, now: int
) -> float:
    """Log likelihood of one draw, departures integrated out; row ``now`` of the present offsets is written."""
    modes, channels, spans = len(law.scatter), len(law.used), len(w.when)
    last = len(w.load)
    for m in range(modes):
        pace = math.exp(law.scatter[m] * u[modes + m])
        begun = _begun(law, m, u[m], left[m]) + pace * w.before[m]
        wear = begun + pace * w.worn[last, m]
        if alive and wear >= 1.0:
            return -1e30
        x.theta[now, m] = _quantile(wear)
        x.theta[now, modes + m] = law.scatter[m] * u[modes + m]
        x.z[m], x.z[modes + m] = begun, pace
    misfit = _MISFIT_MEDIAN * math.exp(_MISFIT_SD * u[2 * modes])
    total = 0.0
    for c in range(channels):
        if not (law.marked[c] or whole):
            continue
        away2 = (misfit * law.depart[c]) ** 2
        x.gram[c, 0] = 1.0 / (law.spread[c] ** 2 + law.ambient_gain[c] ** 2 * w.haze[0] + away2)
        x.gram[c, 1] = 0.0
        x.gram[c, 2] = 1.0 / (misfit * law.drift[c]) ** 2 if away2 > 0.0 else 1.0
        x.gram[c, 3] = 0.0
        x.gram[c, 4] = 0.0
        x.gram[c, 5] = 1.0 / ((misfit * law.tilt[c]) ** 2 + law.tilted[c] ** 2) if away2 > 0.0 else 1.0
        x.pull[c, :] = 0.0
        x.fit[c] = x.gram[c, 0] * x.gram[c, 2] * x.gram[c, 5]
    for k in range(spans):
        x.a[:] = 0.0
        x.b[:] = 0.0
        x.loud[:] = 1.0
        volume = 1.0
        for m in range(modes):
            place = min(1.0, x.z[m] + x.z[modes + m] * w.age[k, m]) * _WEAR_STEPS
            cell = min(_WEAR_STEPS - 1, int(place))
            part = place - cell
            for e in range(law.first_effect[m], law.first_effect[m + 1]):
                c = law.channel[e]
                shift = law.shift[e, cell] + (law.shift[e, cell + 1] - law.shift[e, cell]) * part
                if law.per_load[e]:
                    x.b[c] += shift
                else:
                    x.a[c] += shift
                x.loud[c] *= (
                    1.0 + law.louder[e, cell] + (law.louder[e, cell + 1] - law.louder[e, cell]) * part
                )
        for c in range(channels):
            weight = w.weight[k, c]
            if weight <= 0.0 or not (law.marked[c] or whole):
                continue
            loud2 = x.loud[c] * x.loud[c]
            scale = 1.0 + w.noisy[k, c] * (loud2 - 1.0)
            span2 = (0.3 * misfit * law.drift[c]) ** 2
            precision = weight / (scale + weight * span2)
            rest = w.value[k, c] - x.a[c] - x.b[c] * (w.at_load[k, c] + w.centre[0])
            tau, load = w.when[k], w.at_load[k, c]
            inner, steep = w.load2[k, c] / scale, w.slope[k, c] - x.b[c]
            total -= 0.5 * (precision * rest * rest + inner * steep * steep + w.value2[k, c] / scale)
            volume *= scale + weight * span2
            if loud2 != 1.0:
                total -= 0.5 * w.freedom[k, c] * math.log(scale)
            if w.degrees[k, c] > 0.0:
                total -= 0.5 * w.degrees[k, c] * (math.log(loud2) + w.scatter2[k, c] / loud2)
            x.gram[c, 0] += precision
            x.gram[c, 1] += precision * tau
            x.gram[c, 2] += precision * tau * tau
            x.gram[c, 3] += precision * load
            x.gram[c, 4] += precision * load * tau
            x.gram[c, 5] += precision * load * load + inner
            x.pull[c, 0] += precision * rest
            x.pull[c, 1] += precision * rest * tau
            x.pull[c, 2] += precision * rest * load + inner * steep
        total -= 0.5 * math.log(volume)
    return total + _departures(law, x, whole, now)


@inlined
def _departures(law: _Law, x: _Scratch, whole: bool, now: int) -> float:
    """What the departures that were integrated out add to the log likelihood."""
    total = 0.0
    for c in range(len(x.fit)):
        if not (law.marked[c] or whole):
            continue
        l00 = math.sqrt(x.gram[c, 0])
        l10 = x.gram[c, 1] / l00
        l11 = math.sqrt(max(1e-300, x.gram[c, 2] - l10 * l10))
        l20 = x.gram[c, 3] / l00
        l21 = (x.gram[c, 4] - l20 * l10) / l11
        l22 = math.sqrt(max(1e-300, x.gram[c, 5] - l20 * l20 - l21 * l21))
        y0 = x.pull[c, 0] / l00
        y1 = (x.pull[c, 1] - l10 * y0) / l11
        y2 = (x.pull[c, 2] - l20 * y0 - l21 * y1) / l22
        total += 0.5 * (y0 * y0 + y1 * y1 + y2 * y2) + 0.5 * math.log(x.fit[c]) - math.log(l00 * l11 * l22)
        b0 = 1.0 / l00  # (1, ½, 0): the offset at the end of the window
        b1 = (0.5 - l10 * b0) / l11
        b2 = -(l20 * b0 + l21 * b1) / l22
        x.now_mean[now, c] = b0 * y0 + b1 * y1 + b2 * y2
        x.now_var[now, c] = b0 * b0 + b1 * b1 + b2 * b2
    return total


@inlined
def _normals(key: np.uint64, stage: int, i: int, into: Matrix, row: int) -> None:
    """Standard normal numbers of draw ``i`` of a stage."""
    d = into.shape[1]
    blocks = (d + 3) // 4
    for b in range(blocks):
        w0, w1, w2, w3 = block(key, SEARCH, stage, i * blocks + b)
        j = 4 * b
        into[row, j] = normal(w0)
        if j + 1 < d:
            into[row, j + 1] = normal(w1)
        if j + 2 < d:
            into[row, j + 2] = normal(w2)
        if j + 3 < d:
            into[row, j + 3] = normal(w3)


@inlined
def _effective(x: _Scratch, by: float, n: int) -> float:
    """Weights of the first draws for the likelihood to this power; the effective share of them."""
    best = -math.inf
    for i in range(n):
        best = max(best, by * x.likelihood[i])
    total, squares = 0.0, 0.0
    for i in range(n):
        x.weight[i] = math.exp(by * x.likelihood[i] - best)
        total += x.weight[i]
        squares += x.weight[i] ** 2
    for i in range(n):
        x.weight[i] /= total
    return total * total / squares / n


@inlined
def _root(cover: Matrix, root: Matrix) -> float:
    """Lower Cholesky factor; the logarithm of its determinant."""
    total = 0.0
    for i in range(len(cover)):
        for j in range(i + 1):
            value = cover[i, j]
            for k in range(j):
                value -= root[i, k] * root[j, k]
            if i == j:
                root[i, i] = math.sqrt(max(value, 1e-10))
                total += math.log(root[i, i])
            else:
                root[i, j] = value / root[j, j]
        for j in range(i + 1, len(cover)):
            root[i, j] = 0.0
    return total


@inlined
def _moments(x: _Scratch, of: Matrix, n: int, centre: Vector, cover: Matrix) -> None:
    """Mean and covariance of the first ``n`` weighted draws."""
    d = of.shape[1]
    for j in range(d):
        centre[j] = 0.0
        for i in range(n):
            centre[j] += x.weight[i] * of[i, j]
    for j in range(d):
        for k in range(j + 1):
            total = 0.0
            for i in range(n):
                total += x.weight[i] * (of[i, j] - centre[j]) * (of[i, k] - centre[k])
            cover[j, k] = total
            cover[k, j] = total


@inlined
def _search(law: _Law, w: _Window, x: _Scratch, key: np.uint64, left: Vector, alive: bool) -> float:
    """Equally weighted draws of the posterior, in ``x``; the power of the likelihood that was reached."""
    d = x.u.shape[1]
    n = min(_ON_THE_WAY, len(x.u))
    for i in range(n):
        _normals(key, 0, i, x.u, i)
        x.likelihood[i] = _likelihood(law, w, x, x.u[i], left, alive, False, 0)
    power, at_one = 0.0, 0
    for stage in range(1, _STAGES):
        if _effective(x, 1.0 - power, n) >= _LEAST_EFFECTIVE:
            power = 1.0
            at_one += 1
        else:
            low, high = math.log(1e-7), math.log(1.0 - power)
            for _ in range(12):
                middle = 0.5 * (low + high)
                if _effective(x, math.exp(middle), n) >= _LEAST_EFFECTIVE:
                    low = middle
                else:
                    high = middle
            _effective(x, math.exp(low), n)
            power += math.exp(low)
        _moments(x, x.u, n, x.centre, x.cover)
        for j in range(d):
            for k in range(d):
                x.cover[j, k] *= _WIDER
        _root(x.cover, x.root)
        _resample(x, key, stage, n)
        last = at_one == _AT_ONE or stage == _STAGES - 1
        n = len(x.u) if last else min(_ON_THE_WAY, len(x.u))
        _move(law, w, x, key, left, alive, stage, power, n)
        for i in range(n):
            for j in range(d):
                x.u[i, j] = x.new_u[i, j]
            x.likelihood[i] = x.new_likelihood[i]
        if last:
            break
    for i in range(n):
        x.weight[i] = 1.0 / n
        if i == 0 or x.likelihood[i] != x.likelihood[i - 1]:
            _likelihood(law, w, x, x.u[i], left, alive, True, i)
        else:
            for j in range(d - 1):
                x.theta[i, j] = x.theta[i - 1, j]
            for c in range(len(x.fit)):
                x.now_mean[i, c] = x.now_mean[i - 1, c]
                x.now_var[i, c] = x.now_var[i - 1, c]
    return power


@inlined
def _resample(x: _Scratch, key: np.uint64, stage: int, n: int) -> None:
    """Where the chains of a stage begin: draws by their weight, at equal steps of it."""
    chains = len(x.start)
    w0, _, _, _ = block(key, SEARCH, stage, 0xFFFFFFFF)
    at, total, i = uniform(w0), x.weight[0] * chains, 0
    for k in range(chains):
        while total < at + k and i < n - 1:
            i += 1
            total += x.weight[i] * chains
        x.start[k] = i


@inlined
def _move(
    law: _Law,
    w: _Window,
    x: _Scratch,
    key: np.uint64,
    left: Vector,
    alive: bool,
    stage: int,
    power: float,
    n: int,
) -> None:
    """Chains of Metropolis steps that leave the tempered posterior as it is; all their states are kept.

    A proposal keeps a part of where it is and draws the rest from the normal that fits the draws, which it would
    leave as it is by itself (preconditioned Crank-Nicolson).
    """
    d = x.u.shape[1]
    chains = len(x.start)
    steps = n // chains
    for k in range(chains):
        for step in range(steps):
            i = k * steps + step
            if step == 0:
                was = x.start[k]
                for j in range(d):
                    x.new_u[i, j] = x.u[was, j]
                x.new_likelihood[i] = x.likelihood[was]
                level, extent = power * x.new_likelihood[i], 0.0
                for j in range(d):
                    value = x.new_u[i, j] - x.centre[j]
                    for m in range(j):
                        value -= x.root[j, m] * x.v[m]
                    x.v[j] = value / x.root[j, j]
                    level -= 0.5 * x.new_u[i, j] ** 2
                    extent += 0.5 * x.v[j] ** 2
                continue
            walks = step % 2 == 0
            fresh = 0.8 if walks else 0.9
            kept = 1.0 if walks else math.sqrt(1.0 - fresh * fresh)
            _normals(key, stage, i, x.new_u, i)
            for j in range(d):
                x.trial[j] = kept * x.v[j] + fresh * x.new_u[i, j]
            height, size = 0.0, 0.0
            for j in range(d):
                value = x.centre[j]
                for m in range(j + 1):
                    value += x.root[j, m] * x.trial[m]
                x.new_u[i, j] = value
                height -= 0.5 * value * value
                size += 0.5 * x.trial[j] ** 2
            likelihood = _likelihood(law, w, x, x.new_u[i], left, alive, False, 0)
            height += power * likelihood
            w0, _, _, _ = block(key, CHANCE, stage, i)
            gain = height - level if walks else height + size - level - extent
            if gain > math.log(uniform(w0)):
                level, extent = height, size
                x.new_likelihood[i] = likelihood
                for j in range(d):
                    x.v[j] = x.trial[j]
            else:
                for j in range(d):
                    x.new_u[i, j] = x.new_u[i - 1, j]
                x.new_likelihood[i] = x.new_likelihood[i - 1]


@kernel
def _estimate(
    law: _Law,
    w: _Window,
    x: _Scratch,
    y: _Scratch,
    bin_s: float,
    start_us: int,
    mean: Cube,
    sd: Cube,
    count: NDArray[np.int64],
    ambient_c: Matrix,
    first: NDArray[np.int64],
    earlier: Vector,
    left: Matrix,
    keys: NDArray[np.uint64],
    out: DamageEstimate,
) -> None:
    """``estimate``, device by device; ``y`` has room for the moments of what is kept."""
    n, bins = len(mean), mean.shape[1]
    modes = len(law.scatter)
    for r in range(n):
        since = first[r]
        heard = 0
        if since < bins:
            heard = _explain(law, w, bin_s, start_us, mean[r], sd[r], count[r], ambient_c[r], since)
        latest = _loaded(law, w, bin_s, start_us, mean[r], count[r], since, r, out)
        alive = latest < 0 or law.load_low <= 0.0 or w.load[latest] >= 0.5 * law.load_low
        if since < bins:
            _age(law, w, since)
            _gather(law, w, bin_s, mean[r], sd[r], count[r], since)
        else:
            w.weight[:] = 0.0
            w.worn[bins, :] = 0.0
        if heard < LEAST_BINS:
            w.weight[:] = 0.0
            out.reason[r] = UNHEARD if heard == 0 else TOO_SHORT
        untouched = True
        for m in range(modes):
            untouched &= left[r, m] >= 1.0
            w.before[m] = law.usual[m] * earlier[r] if left[r, m] < 1.0 and earlier[r] > 0.0 else 0.0
        if heard < LEAST_BINS and untouched:
            _know_nothing(law, r, out)
            continue
        key = life_key(0, 0, keys[r], 0)
        power = _search(law, w, x, key, left[r], alive)
        if power < 1.0:
            out.reason[r] = UNSETTLED
        _keep(w, x, y, r, out)


@inlined
def _loaded(
    law: _Law,
    w: _Window,
    bin_s: float,
    start_us: int,
    mean: Matrix,
    count: NDArray[np.int64],
    first: int,
    r: int,
    out: DamageEstimate,
) -> int:
    """Load factor, and what there was last; the last bin with readings, −1 if there is none."""
    bins, channels = mean.shape
    latest = -1
    heard, one, all_ = 0.0, 0.0, 0.0
    for t in range(first, bins):
        anything = False
        for c in range(channels):
            if count[t, c] > 0 and not math.isnan(mean[t, c]):
                out.latest[r, c] = mean[t, c]
                anything |= law.used[c]
        if anything:
            latest = t
            if law.planned and w.load[t] >= 0.5 * law.load_low:
                plan = _planned(law.plan, start_us + int((t + 0.5) * bin_s * SECOND_US))
                heard += 1.0
                one += plan * (w.load[t] - plan)
                all_ += plan * plan
    worth = min(1.0, bin_s / 3600.0 / law.wander_h) / (law.wander**2 + (0.01 if law.held else 0.0))
    precision = 1.0 / law.factor_sd**2 + all_ * worth
    out.load_factor[r, 0] = max(0.2, 1.0 + one * worth / precision)
    out.load_factor[r, 1] = 1.0 / math.sqrt(precision)
    if latest >= 0:
        out.load[r], out.warmth_k[r] = w.load[latest], w.warmth[latest]
    else:
        end_us = start_us + int(bins * bin_s * SECOND_US)
        out.load[r], out.warmth_k[r] = _planned(law.plan, end_us), 0.0
    return latest


@inlined
def _know_nothing(law: _Law, r: int, out: DamageEstimate) -> None:
    """The prior, into row ``r``."""
    modes = len(law.scatter)
    for m in range(modes):
        out.factor[r, m, m] = 1.0
        out.factor[r, modes + m, modes + m] = law.scatter[m]
    for c in range(len(law.used)):
        out.offset_sd[r, c] = law.spread[c]
    out.misfit[r] = _MISFIT_MEDIAN


@inlined
def _keep(w: _Window, x: _Scratch, y: _Scratch, r: int, out: DamageEstimate) -> None:
    """Mean and covariance of the draws, into row ``r``."""
    n, width = x.theta.shape
    _moments(x, x.theta, n, y.centre, y.cover)
    modes = width // 2
    for m in range(modes):
        grown = math.exp(y.centre[modes + m]) * w.worn[len(w.worn) - 1, m]
        density = max(0.02, 0.3989422804014327 * math.exp(-0.5 * y.centre[m] ** 2))
        y.cover[m, m] += (GROWTH_SD * grown / density) ** 2
    _root(y.cover, y.root)
    misfit = 0.0
    for i in range(n):
        misfit += x.weight[i] * x.u[i, width]
    out.misfit[r] = _MISFIT_MEDIAN * math.exp(_MISFIT_SD * misfit)
    for j in range(width):
        out.mean[r, j] = y.centre[j]
        for k in range(j + 1):
            out.factor[r, j, k] = y.root[j, k]
    for c in range(x.now_mean.shape[1]):
        mean, own, between = 0.0, 0.0, 0.0
        for i in range(n):
            mean += x.weight[i] * x.now_mean[i, c]
            own += x.weight[i] * x.now_var[i, c]
        for i in range(n):
            between += x.weight[i] * (x.now_mean[i, c] - mean) ** 2
        explained = 0.0
        for j in range(width):
            value = 0.0
            for i in range(n):
                value += x.weight[i] * (x.now_mean[i, c] - mean) * (x.theta[i, j] - y.centre[j])
            for k in range(j):
                value -= y.root[j, k] * y.z[k]
            y.z[j] = value / y.root[j, j]
            out.offset_gain[r, c, j] = y.z[j]
            explained += y.z[j] ** 2
        out.offset_mean[r, c] = mean
        out.offset_sd[r, c] = math.sqrt(max(own + between - explained, 0.5 * own))


@kernel
def _draw(
    e: DamageEstimate, seed: int, replication: int, keys: NDArray[np.uint64], z: Vector, out: Drawn
) -> None:
    """``draw``; ``z`` (2 M + 1) is overwritten."""
    n, width = e.mean.shape
    modes, channels = width // 2, e.offset_mean.shape[1]
    for r in range(n):
        key = life_key(seed, replication, keys[r], 0)
        for j in range(width + 1):
            z[j] = _one(key, 0, j)
        for j in range(width):
            value = float(e.mean[r, j])
            for k in range(j + 1):
                value += e.factor[r, j, k] * z[k]
            if j < modes:
                out.wear[r, j] = _below(value)
            else:
                out.pace[r, j - modes] = math.exp(value)
        out.load_factor[r] = max(0.2, e.load_factor[r, 0] + e.load_factor[r, 1] * z[width])
        for c in range(channels):
            value = e.offset_mean[r, c] + e.offset_sd[r, c] * _one(key, 1, c)
            for k in range(width):
                value += e.offset_gain[r, c, k] * z[k]
            out.offset[r, c] = value


@inlined
def _one(key: np.uint64, step: int, number: int) -> float:
    w0, _, _, _ = block(key, ESTIMATE, step, number)
    return float(normal(w0))


@kernel
def _settle(
    p: PhysicsParams, wear: Matrix, load: Single, warmth_k: Single, latest: Single, start: int, lagged: Matrix
) -> None:
    """What channels come to at a load and wear, into ``lagged`` from row ``start`` on."""
    for i in range(len(load)):
        for c in range(lagged.shape[1]):
            if p.kind[c] == COUNTER:
                lagged[start + i, c] = latest[i, c]
            else:
                place = load[i] * (LOAD_STEPS / MAX_LOAD)
                lagged[start + i, c] = _at(p.healthy[c], place) + p.ambient_gain[c] * warmth_k[i]
        for m in range(wear.shape[1]):
            damage = damage_of(p, m, wear[start + i, m])
            for e in range(p.first_effect[m], p.first_effect[m + 1]):
                c = p.effect_channel[e]
                if p.kind[c] != COUNTER:
                    by = load[i] if p.effect_per_load[e] else 1.0
                    depth = _at(p.mark[e], damage * (p.mark.shape[1] - 1))
                    lagged[start + i, c] += p.effect_shift[e] * depth * by
