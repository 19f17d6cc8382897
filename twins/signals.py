"""What one reading does to a twin: baseline, running statistics, novelty. Compiled, recursive, one row per device.

A *feature* is a gauge channel that is not a condition; counters, states and flags have no level to be far from. Each feature
is standardised by the device's own baseline in the present operating regime (a combination of bins of the type's
``conditions``), then followed by a handful of exponentially weighted statistics, never by a window of past readings:

* ``fast``, span 20: where the feature is now. Its input is clipped, so that one wild reading moves it little.
* ``reference``, span 400: where it has been of late. Steps towards readings that are far off weigh little (Cauchy weights,
  Huber 1981), so a jump stands out for long while slow ageing or weather is followed.
* ``wander``: how far ``fast`` usually strays from ``reference``. It starts as the *prequential* error of the baseline (each
  smoothed value against the mean of what came before; Dawid 1984), which is honest where readings are autocorrelated, and
  keeps learning, so that excursions that turn out to be ordinary stop being news.
* ``level``, span 80, and ``noise``, span 20: against the baseline alone, for health.

The vector ``(fast - reference) / sqrt(wander)`` has a squared length under the device's own shrunk correlation matrix:
Hotelling's T² of an EWMA (Lowry et al. 1992, Technometrics 34). ``anomalous`` is that length with hysteresis.
``anomaly_score`` asks how rare this reading is *for this device*: the tail probabilities of the innovation and of T², from a
running quantile and the mean log-excess above it (Hill 1975), joined as Fisher joins them; it fades while an anomaly lasts.

Spans count a channel's own readings. Time enters where a device was silent for more than 1.5 nominal intervals: what was
known of its present then fades by the intervals that passed. Nothing here reads a clock, draws a number or allocates.
"""

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twins.devices import DeviceType
from twins.emit import emit
from twins.events import EventBuffer, Kind
from twins.health import LEVEL_SPAN, score_health
from twins.patterns import watch, watch_relations
from twins.readings import MAX_CHANNELS

MAX_EVENTS: Final = 7 * MAX_CHANNELS + 2
"""The most events that one call of ``observe`` emits: each pattern of each channel, the anomaly, the baseline."""

MAX_REGIMES: Final = 32
"""The most operating regimes kept apart; conditions that would make more of them are left out, the last ones first."""

FAST_SPAN: Final = 20.0
REFERENCE_SPAN: Final = 400.0
WANDER_SPAN: Final = 2000.0

FAST, REFERENCE, WANDER, LEVEL, NOISE = range(5)
"""Layers of ``SignalState.track``. All are in standard deviations of the baseline, or their squares."""

GAP, GAP_USUAL, NOISE_USUAL, WANDER_USUAL, QUIET, CROSSING, PERIOD, HITS, SPIKE = range(9)
"""Layers of ``SignalState.marks``: lines since last heard and the most that the baseline had; codes (see ``decode``) of the
baseline's mean noise, wander and least noise; readings since the last upward crossing (bit 7: now above), the period before
it, how often periods agreed; readings left of a spike."""

QUANTILE, EXCESS, SPREAD = range(3)
"""Of each statistic in ``SignalState.tail``: its running upper quantile, mean log-excess above it, mean distance from it."""

_UNCOUNTED: Final = 16  # readings at the start of learning that only give a first mean and spread
_REACH: Final = 1.0e3  # the furthest that a standardised value counts, in standard deviations
_TAIL: Final = 0.05  # the share of readings above the running quantile
_TAIL_SPAN: Final = 1000.0
_TAIL_GAIN: Final = 5.0
_BASELINE_LEARNED: Final = int(Kind.BASELINE_LEARNED)
_ANOMALY_STARTED: Final = int(Kind.ANOMALY_STARTED)
_ANOMALY_ENDED: Final = int(Kind.ANOMALY_ENDED)


class SignalParams(NamedTuple):
    """What is the same for all devices of a type. ``room`` is for the kernel to work in: one thread at a time."""

    channel: NDArray[np.int64]  # (features,) the channel behind each feature
    resolution: NDArray[np.float64]  # (features,) channel units
    condition: NDArray[np.int64]  # (conditions,) channels that tell regimes apart
    edges: NDArray[np.float64]  # (conditions, most edges) padded with inf
    stride: NDArray[np.int64]  # (conditions + 1,) of the regime number; the last is the number of regimes
    baseline: int  # readings that make a baseline
    known: int  # readings after which a regime's mean and spread are used
    fast: float  # weights of a new reading
    reference: float
    wander: float
    clip: float  # standard deviations that one reading may differ from the reference for ``fast``
    doubt: float  # Cauchy scale of the reference's weights, in units of sqrt(wander)
    shrink: float  # share of the unit matrix in the correlation matrix
    on_at: NDArray[np.float64]  # (features + 1,) T² that starts an anomaly, by the number of features at hand
    off_at: NDArray[np.float64]  # (features + 1,) T² that ends it
    decode: NDArray[np.float64]  # (256,) what the codes in ``marks`` stand for
    peak_keep: float  # share of the novelty memory kept over one interval
    room: NDArray[np.float64]  # (2, features)


class SignalState(NamedTuple):
    """What analytics know of each device. R regimes, F features, P = F (F + 1) / 2."""

    health: NDArray[np.float32]  # (n,) 0 to 100; NaN until the baseline is learned
    observed: NDArray[np.float32]  # (n,) share of the features that health can presently see, 0 to 1
    anomaly_score: NDArray[np.float32]  # (n,) novelty, 0 to 1
    anomalous: NDArray[np.uint8]  # (n,) 1 while far from what the device usually does
    patterns: NDArray[np.uint8]  # (n, channels) bit i: events.PATTERNS[i] is present
    regime: NDArray[np.uint8]  # (n,)
    learned: NDArray[np.uint8]  # (n,) 1: the baseline stands
    readings: NDArray[np.uint32]  # (n,) lines that the baseline was learned from
    disturbed: NDArray[np.uint16]  # (n,) lines set aside while learning
    seen_us: NDArray[np.int64]  # (n,) event time of the newest line; INT64_MIN before
    mean: NDArray[np.float32]  # (n, R, F) channel units
    spread: NDArray[np.float32]  # (n, R, F) standard deviation, channel units
    count: NDArray[np.uint16]  # (n, R, F) readings behind them
    bond: NDArray[
        np.float32
    ]  # (n, P) learning: mean products of features; then the inverse of their correlations
    track: NDArray[np.float32]  # (n, 5, F)
    marks: NDArray[np.uint8]  # (n, 9, F)
    tail: NDArray[np.float32]  # (n, 2, 3) of the innovation and of T
    peak: NDArray[np.float32]  # (n,) memory of the greatest novelty


def feature_channels(device_type: DeviceType) -> list[int]:
    """The channels that are features, by index, in the order of the type."""
    return [
        i
        for i, channel in enumerate(device_type.channels)
        if channel.kind == "gauge" and not channel.condition
    ]


def signal_params(device_type: DeviceType) -> SignalParams:
    """The parameters of a device type. One set of defaults serves every type; all spans count readings."""
    features = feature_channels(device_type)
    used, regimes = [], 1
    for condition in device_type.conditions:
        if regimes * (len(condition.edges) + 1) > MAX_REGIMES:
            break
        used.append(condition)
        regimes *= len(condition.edges) + 1
    edges = np.full((len(used), max((len(c.edges) for c in used), default=0)), np.inf)
    for row, condition in zip(edges, used, strict=True):
        row[: len(condition.edges)] = sorted(condition.edges)
    strides = [1]
    for condition in used:
        strides.append(strides[-1] * (len(condition.edges) + 1))
    dof = np.arange(len(features) + 1)
    return SignalParams(
        channel=np.array(features, np.int64),
        resolution=np.array([device_type.channels[i].resolution for i in features], np.float64),
        condition=np.array([device_type.channel_index(c.channel) for c in used], np.int64),
        edges=edges,
        stride=np.array(strides, np.int64),
        baseline=device_type.baseline_readings,
        known=min(max(device_type.baseline_readings // (2 * regimes), 5), 40),
        fast=2.0 / (FAST_SPAN + 1.0),
        reference=1.0 / REFERENCE_SPAN,
        wander=1.0 / WANDER_SPAN,
        clip=4.0,
        doubt=2.0,
        shrink=0.5,
        on_at=chi_square_at(3.5, dof),
        off_at=chi_square_at(0.4, dof),
        decode=np.exp2((np.arange(256) - 128) / 4.0),
        peak_keep=1.0 - 1.0 / 300.0,
        room=np.zeros((2, len(features))),
    )


def chi_square_at(z: float, dof: NDArray[np.int64]) -> NDArray[np.float64]:
    """The chi-square values that are as rare as ``z`` is under a normal law (Wilson and Hilferty 1931); inf for no degree."""
    k = np.maximum(dof, 1).astype(np.float64)
    value = k * (1.0 - 2.0 / (9.0 * k) + z * np.sqrt(2.0 / (9.0 * k))) ** 3
    return np.where(dof > 0, value, np.inf)


def blank_signals(capacity: int, device_type: DeviceType) -> SignalState:
    """Devices that have not sent a reading."""
    p = signal_params(device_type)
    n, regimes, features = capacity, int(p.stride[-1]), len(p.channel)
    return SignalState(
        health=np.full(n, np.nan, np.float32),
        observed=np.zeros(n, np.float32),
        anomaly_score=np.zeros(n, np.float32),
        anomalous=np.zeros(n, np.uint8),
        patterns=np.zeros((n, len(device_type.channels)), np.uint8),
        regime=np.zeros(n, np.uint8),
        learned=np.zeros(n, np.uint8),
        readings=np.zeros(n, np.uint32),
        disturbed=np.zeros(n, np.uint16),
        seen_us=np.full(n, np.iinfo(np.int64).min, np.int64),
        mean=np.zeros((n, regimes, features), np.float32),
        spread=np.zeros((n, regimes, features), np.float32),
        count=np.zeros((n, regimes, features), np.uint16),
        bond=np.zeros((n, features * (features + 1) // 2), np.float32),
        track=np.zeros((n, 5, features), np.float32),
        marks=np.zeros((n, 9, features), np.uint8),
        tail=np.zeros((n, 2, 3), np.float32),
        peak=np.zeros(n, np.float32),
    )


@njit(cache=True)
def observe(
    s: SignalState,
    p: SignalParams,
    r: int,
    t_us: int,
    x: NDArray[Any],
    scored: np.uint64,
    interval_us: int,
    ev: EventBuffer,
) -> None:
    """Take one line of readings of device ``r``.

    Parameters
    ----------
    x : (channels,) values in the type's dtype, read only where ``scored`` has the channel's bit
    t_us : event time; one that is not after the device's newest adds no time
    interval_us : the device's nominal interval; 0: not known yet, every gap then counts as one interval
    ev : room for ``MAX_EVENTS``
    """
    features = len(p.channel)
    if features == 0:
        return
    steps = _elapsed(s.seen_us[r], t_us, interval_us)
    if t_us > s.seen_us[r]:
        s.seen_us[r] = t_us
    g = _regime(s, p, r, x, scored)
    if s.learned[r] == 0:
        _learn(s, p, r, g, t_us, x, scored, ev)
    else:
        _follow(s, p, r, g, t_us, x, scored, steps, ev)


@njit(cache=True)
def relearn(s: SignalState, p: SignalParams, r: int) -> None:
    """Forget everything of device ``r``: it is another machine now, with a baseline to be learned."""
    s.health[r] = np.nan
    s.observed[r] = 0.0
    s.regime[r] = 0
    s.learned[r] = 0
    s.readings[r] = 0
    s.disturbed[r] = 0
    s.seen_us[r] = np.iinfo(np.int64).min
    s.mean[r] = 0.0
    s.spread[r] = 0.0
    s.count[r] = 0
    s.bond[r] = 0.0
    s.track[r] = 0.0
    s.marks[r] = 0
    s.tail[r] = 0.0
    s.anomaly_score[r] = 0.0
    s.anomalous[r] = 0
    s.patterns[r] = 0
    s.peak[r] = 0.0


@njit(cache=True)
def reset_detectors(s: SignalState, p: SignalParams, r: int) -> None:
    """Put device ``r`` back to where its baseline left it: no anomaly, no pattern, full health; the baseline stays."""
    if s.learned[r] == 0:
        return
    s.anomaly_score[r] = 0.0
    s.anomalous[r] = 0
    s.patterns[r] = 0
    s.peak[r] = 0.0
    _settle(s, p, r)
    score_health(s, p, r)


@njit(cache=True)
def _elapsed(seen_us: int, t_us: int, interval_us: int) -> float:
    if interval_us <= 0 or seen_us == np.iinfo(np.int64).min or t_us <= seen_us:
        return 1.0
    return min((t_us - seen_us) / interval_us, 1.0e4)


@njit(cache=True)
def _regime(s: SignalState, p: SignalParams, r: int, x: NDArray[Any], scored: np.uint64) -> int:
    """The regime of this line. A condition that the line does not give stays as it was; before the first, the lowest bin."""
    old = int(s.regime[r])
    new = 0
    for i in range(len(p.condition)):
        c = p.condition[i]
        if (scored >> np.uint64(c)) & np.uint64(1):
            b = 0
            for k in range(p.edges.shape[1]):
                if x[c] >= p.edges[i, k]:
                    b += 1
        else:
            b = (old % p.stride[i + 1]) // p.stride[i]
        new += b * p.stride[i]
    s.regime[r] = new
    return new


@njit(cache=True)
def _clamp(value: float, limit: float) -> float:
    return min(max(value, -limit), limit)


@njit(cache=True)
def _code(variance: float) -> int:
    """The code whose ``decode`` is nearest; 0 for nothing."""
    if not variance > 0.0:
        return 0
    return int(min(max(math.floor(4.0 * math.log2(variance) + 128.5), 1.0), 255.0))


@njit(cache=True)
def _refine(s: SignalState, p: SignalParams, r: int, g: int, j: int, value: float) -> float:
    """Put one value into a regime's mean and spread (Welford 1962, winsorised); its standardised distance from before."""
    k = int(s.count[r, g, j]) + 1
    if k == 1:
        s.mean[r, g, j] = value
        s.count[r, g, j] = 1
        return 0.0
    mean = float(s.mean[r, g, j])
    spread = float(s.spread[r, g, j])
    step = value - mean
    floor = p.resolution[j] * 0.29 + abs(mean) * 1.0e-5 + 1.0e-12
    z = _clamp(step / max(spread, floor), _REACH)
    if k > _UNCOUNTED:
        step = _clamp(step, 4.0 * max(spread, floor))
    weight = 1.0 / k
    variance = (1.0 - weight) * (spread * spread + weight * step * step)
    s.mean[r, g, j] = mean + weight * step
    s.spread[r, g, j] = math.sqrt(variance)
    if k <= 65535:
        s.count[r, g, j] = k
    return z


@njit(cache=True)
def _learn(
    s: SignalState,
    p: SignalParams,
    r: int,
    g: int,
    t_us: int,
    x: NDArray[Any],
    scored: np.uint64,
    ev: EventBuffer,
) -> None:
    features = len(p.channel)
    k = int(s.readings[r]) + 1
    counted = k - _UNCOUNTED
    if counted > FAST_SPAN:
        off = 0.0
        for j in range(features):
            off = max(off, abs(s.track[r, FAST, j]))
        if off > 3.0 and int(s.disturbed[r]) < 65535:
            s.disturbed[r] += 1
            if 2 * int(s.disturbed[r]) >= p.baseline:
                # what looked like a disturbance has become the rule: what came before was the exception
                seen_us = s.seen_us[r]
                relearn(s, p, r)
                s.seen_us[r] = seen_us
                k = 1
                counted = k - _UNCOUNTED
    z = p.room[0]
    for j in range(features):
        c = p.channel[j]
        z[j] = 0.0
        if not (scored >> np.uint64(c)) & np.uint64(1):
            if s.marks[r, GAP, j] < 255:
                s.marks[r, GAP, j] += 1
                s.marks[r, GAP_USUAL, j] = max(s.marks[r, GAP_USUAL, j], s.marks[r, GAP, j])
            continue
        s.marks[r, GAP, j] = 0
        raw = _refine(s, p, r, g, j, float(x[c]))
        z[j] = _clamp(raw, p.clip)
        if counted <= 0:
            continue
        fast = float(s.track[r, FAST, j])
        noise = _clamp(raw - fast, 2.0 * p.clip)
        noise *= noise
        s.track[r, NOISE, j] += (noise - s.track[r, NOISE, j]) / counted
        s.track[r, LEVEL, j] += max(p.fast, 1.0 / counted) * (noise - s.track[r, LEVEL, j])
        fast += max(p.fast, 1.0 / counted) * (z[j] - fast)
        s.track[r, FAST, j] = fast
        if counted > FAST_SPAN:
            s.track[r, WANDER, j] += (fast * fast - s.track[r, WANDER, j]) / (counted - FAST_SPAN)
            least = s.marks[r, QUIET, j]
            code = _code(float(s.track[r, LEVEL, j]))
            if least == 0 or code < least:
                s.marks[r, QUIET, j] = code
    if counted > 0:
        for j in range(features):
            at = j * (j + 1) // 2
            for i in range(j + 1):
                s.bond[r, at + i] += (z[j] * z[i] - s.bond[r, at + i]) / counted
    s.readings[r] = k
    if k >= p.baseline and counted > FAST_SPAN:
        _finish(s, p, r)
        emit(ev, _BASELINE_LEARNED, r, -1, 0, t_us, float(k), np.nan)
        score_health(s, p, r)


@njit(cache=True)
def _finish(s: SignalState, p: SignalParams, r: int) -> None:
    """Turn what was accumulated into the baseline."""
    features = len(p.channel)
    least = p.fast / (2.0 - p.fast)
    for j in range(features):
        noise = float(s.track[r, NOISE, j])
        s.marks[r, NOISE_USUAL, j] = _code(noise)
        s.marks[r, WANDER_USUAL, j] = _code(max(float(s.track[r, WANDER, j]), least))
        if noise > 0.0 and s.marks[r, QUIET, j] > 0:
            s.marks[r, QUIET, j] = _code(p.decode[s.marks[r, QUIET, j]] / noise)
        else:
            s.marks[r, QUIET, j] = 0
        for g in range(s.spread.shape[1]):
            floor = p.resolution[j] * 0.29 + abs(float(s.mean[r, g, j])) * 1.0e-5 + 1.0e-12
            if s.spread[r, g, j] < floor:
                s.spread[r, g, j] = floor
    _invert(s, p, r)
    s.learned[r] = 1
    for i in range(2):
        s.tail[r, i, QUANTILE] = 0.5
        s.tail[r, i, EXCESS] = 0.2
        s.tail[r, i, SPREAD] = 0.3
    _settle(s, p, r)


@njit(cache=True)
def _settle(s: SignalState, p: SignalParams, r: int) -> None:
    """Detectors as at the end of the baseline."""
    for j in range(len(p.channel)):
        s.track[r, FAST, j] = 0.0
        s.track[r, REFERENCE, j] = 0.0
        s.track[r, LEVEL, j] = 0.0
        s.track[r, WANDER, j] = p.decode[s.marks[r, WANDER_USUAL, j]]
        s.track[r, NOISE, j] = p.decode[s.marks[r, NOISE_USUAL, j]]
        s.marks[r, CROSSING, j] = 0
        s.marks[r, PERIOD, j] = 0
        s.marks[r, HITS, j] = 0
        s.marks[r, SPIKE, j] = 0


@njit(cache=True)
def _invert(s: SignalState, p: SignalParams, r: int) -> None:
    """Replace the mean products in ``bond`` by the inverse of the shrunk correlation matrix, by Cholesky factors."""
    n = len(p.channel)
    a = np.zeros((n, n))
    for j in range(n):
        for i in range(j):
            scale = math.sqrt(s.bond[r, j * (j + 3) // 2]) * math.sqrt(s.bond[r, i * (i + 3) // 2])
            rho = s.bond[r, j * (j + 1) // 2 + i] / scale if scale > 0.0 else 0.0
            a[j, i] = (1.0 - p.shrink) * _clamp(rho, 1.0)
        a[j, j] = 1.0
    for j in range(n):
        for i in range(j + 1):
            total = a[j, i]
            for k in range(i):
                total -= a[j, k] * a[i, k]
            if i == j:
                a[j, j] = math.sqrt(max(total, 1.0e-6))
            else:
                a[j, i] = total / a[i, i]
    for j in range(n):
        a[j, j] = 1.0 / a[j, j]
        for i in range(j):
            total = 0.0
            for k in range(i, j):
                total -= a[j, k] * a[k, i]
            a[j, i] = total * a[j, j]
    for j in range(n):
        for i in range(j + 1):
            total = 0.0
            for k in range(j, n):
                total += a[k, j] * a[k, i]
            s.bond[r, j * (j + 1) // 2 + i] = total


@njit(cache=True)
def _length(s: SignalState, r: int, v: NDArray[np.float64]) -> float:
    """The squared length of ``v`` under the inverse correlation matrix."""
    total = 0.0
    at = 0
    for j in range(len(v)):
        across = 0.0
        for i in range(j):
            across += s.bond[r, at + i] * v[i]
        total += v[j] * (s.bond[r, at + j] * v[j] + 2.0 * across)
        at += j + 1
    return max(total, 0.0)


@njit(cache=True)
def _rarity(s: SignalState, r: int, i: int, value: float) -> float:
    """Minus the decimal logarithm of how often statistic ``i`` is this high; 0 below its running quantile. Learns from it."""
    y = 0.5 * math.log(value + 1.0)
    quantile = float(s.tail[r, i, QUANTILE])
    excess = float(s.tail[r, i, EXCESS])
    spread = float(s.tail[r, i, SPREAD])
    rarity = 0.0
    weight = 1.0 / _TAIL_SPAN
    step = weight * _TAIL_GAIN * spread
    spread += weight * (abs(y - quantile) - spread)
    if y > quantile:
        over = y - quantile
        rarity = (over / max(excess, 1.0e-3) - math.log(_TAIL)) / math.log(10.0)
        excess += weight / _TAIL * (min(over, 5.0 * excess) - excess)
        quantile += step * (1.0 - _TAIL)
    else:
        quantile -= step * _TAIL
    s.tail[r, i, QUANTILE] = quantile
    s.tail[r, i, EXCESS] = excess
    s.tail[r, i, SPREAD] = spread
    return rarity


@njit(cache=True)
def _follow(
    s: SignalState,
    p: SignalParams,
    r: int,
    g: int,
    t_us: int,
    x: NDArray[Any],
    scored: np.uint64,
    steps: float,
    ev: EventBuffer,
) -> None:
    features = len(p.channel)
    keep = 1.0
    if steps > 1.5:
        keep = math.exp((steps - 1.0) * math.log(1.0 - p.fast))
    least = p.fast / (2.0 - p.fast)
    level_weight = 2.0 / (LEVEL_SPAN + 1.0)
    away = p.room[0]
    fresh = p.room[1]
    judged = 0
    dof = 0
    for j in range(features):
        c = p.channel[j]
        fast = float(s.track[r, FAST, j])
        reference = float(s.track[r, REFERENCE, j])
        wander = float(s.track[r, WANDER, j])
        if keep < 1.0:
            fast = reference + (fast - reference) * keep
        fresh[j] = 0.0
        if not (scored >> np.uint64(c)) & np.uint64(1):
            if s.marks[r, GAP, j] < 255:
                s.marks[r, GAP, j] += 1
            s.track[r, FAST, j] = fast
            away[j] = (fast - reference) / math.sqrt(wander)
            dof += 1
            watch(s, p, r, j, c, t_us, 0.0, False, ev)
            continue
        s.marks[r, GAP, j] = 0
        value = float(x[c])
        count = int(s.count[r, g, j])
        if count < p.known:
            _refine(s, p, r, g, j, value)
            away[j] = 0.0
            continue
        z = _clamp((value - s.mean[r, g, j]) / max(float(s.spread[r, g, j]), 1.0e-12), _REACH)
        if count < p.baseline and s.anomalous[r] == 0:
            _refine(s, p, r, g, j, value)
        fresh[j] = z - fast
        judged += 1
        dof += 1
        fast += p.fast * (reference + _clamp(z - reference, p.clip) - fast)
        gap = fast - reference
        away[j] = gap / math.sqrt(wander)
        reference += p.reference / (1.0 + (away[j] / p.doubt) ** 2) * (_clamp(z - reference, p.clip))
        wander += p.wander * (min(gap * gap, 25.0 * wander) - wander)
        usual = p.decode[s.marks[r, NOISE_USUAL, j]]
        noise = float(s.track[r, NOISE, j])
        noise += p.fast * (min(fresh[j] * fresh[j], 25.0 * max(noise, usual)) - noise)
        s.track[r, FAST, j] = fast
        s.track[r, REFERENCE, j] = reference
        s.track[r, WANDER, j] = max(wander, least)
        s.track[r, NOISE, j] = noise
        s.track[r, LEVEL, j] += level_weight * (z - s.track[r, LEVEL, j])
        watch(s, p, r, j, c, t_us, fresh[j], True, ev)
    if judged == 0:
        score_health(s, p, r)
        return
    t2 = _length(s, r, away)
    innovation = _length(s, r, fresh)
    if s.anomalous[r] == 0 and t2 > p.on_at[dof]:
        s.anomalous[r] = 1
        emit(ev, _ANOMALY_STARTED, r, _culprit(s, p, r, away), 0, t_us, float(s.anomaly_score[r]), np.nan)
    elif s.anomalous[r] == 1 and t2 < p.off_at[dof]:
        s.anomalous[r] = 0
        emit(ev, _ANOMALY_ENDED, r, -1, 0, t_us, float(s.anomaly_score[r]), np.nan)
    watch_relations(s, p, r, t_us, away, t2, ev)
    novelty = _rarity(s, r, 0, innovation / judged) + _rarity(s, r, 1, t2 / dof)
    peak = float(s.peak[r]) * (p.peak_keep if steps <= 1.5 else math.exp(steps * math.log(p.peak_keep)))
    if novelty < peak:
        shown = novelty * novelty / peak
    else:
        shown = novelty
        peak = novelty
    s.peak[r] = peak
    s.anomaly_score[r] = shown / (shown + 4.0)
    score_health(s, p, r)


@njit(cache=True)
def _culprit(s: SignalState, p: SignalParams, r: int, away: NDArray[np.float64]) -> int:
    """The channel that adds most to T²."""
    best = 0
    most = -1.0
    for j in range(len(away)):
        total = 0.0
        for i in range(len(away)):
            at = j * (j + 1) // 2 + i if i <= j else i * (i + 1) // 2 + j
            total += s.bond[r, at] * away[i]
        share = abs(away[j] * total)
        if share > most:
            most = share
            best = j
    return int(p.channel[best])
