"""What one line of readings does to a twin: baseline, running statistics, novelty. Compiled and recursive.

Each feature (see ``traces.py``) is standardised by the device's own baseline in the present operating regime,
a combination of bins of the type's ``conditions``, then followed by a handful of exponential means, never by
a window:

* FAST, span 20: where it is now. Its input is clipped, so that one wild reading moves it little.
* REFERENCE, span 600: where it has been of late. A reading far off weighs little (Cauchy weights; Huber
  1981), so that a jump stands out for long while slow ageing or weather is followed.
* WANDER: how far FAST usually strays from REFERENCE. It starts as the *prequential* error of the baseline,
  each smoothed value against the mean of what came before (Dawid 1984), which is honest where readings are
  autocorrelated; and it keeps learning, so that excursions which turn out to be ordinary stop being news.
* LEVEL and NOISE, span 20: against the baseline alone, for health.

``(FAST - REFERENCE) / sqrt(WANDER)`` has a squared length under the device's shrunk correlation matrix:
Hotelling's T² of an EWMA (Lowry et al. 1992, Technometrics 34). ``anomalous`` is that length with hysteresis.
``anomaly_score`` asks how rare a reading is *for this device*: the tail probabilities of its innovation and
of T² (with LEVEL for FAST), each from a running quantile and the mean log-excess above it (Hill 1975), joined
as Fisher joins them. It fades while an anomaly lasts.

The baseline is learned from the first readings: means and spreads by Welford's recursion, winsorised at four
standard deviations, and at one and a half while most of the feature's last readings were off. Where all of
them have been off for half as many lines as make a baseline, it is learned anew from there. A regime first
met later is learned when met.

Spans count a channel's own readings. Time enters where a device was silent for more than 1.5 nominal
intervals: what was known of its present then fades by the intervals that passed. Values are float64 between
float32 rests.
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twins import lanes
from twins.anomalies import begin_youth, end_excursion, forget_excursions, judge
from twins.compiling import inlined, kernel
from twins.emit import emit
from twins.events import EventBuffer, Kind
from twins.health import score_health
from twins.patterns import missed, watch, watch_relations
from twins.readings import MAX_CHANNELS
from twins.traces import (
    CROSSING,
    EXCESS,
    FAST,
    FAST_SPAN,
    GAP,
    GAP_USUAL,
    HABIT,
    LEVEL,
    MAX_REGIMES,
    NOISE,
    NOISE_USUAL,
    QUANTILE,
    QUIET,
    REFERENCE,
    RISE,
    SCATTER,
    SPIKE,
    WANDER,
    WANDER_USUAL,
    SignalParams,
    SignalState,
    blank_signals,
    signal_params,
)

__all__ = [
    "MAX_EVENTS",
    "SignalParams",
    "SignalState",
    "blank_signals",
    "give_baseline",
    "observe",
    "relearn",
    "reset_detectors",
    "signal_params",
]

MAX_EVENTS: Final = 7 * MAX_CHANNELS + 2
"""The most events that one ``observe`` emits: each pattern of each channel, the anomaly, the baseline."""

_NEVER_US: Final = np.iinfo(np.int64).min
_FEW: Final = 5  # readings that do not yet say how far is far
_WHOLLY: Final = 3.9  # further off than this, all of its last readings are
_GAP_FROM: Final = 1.5  # intervals of silence that count as such
_LONGEST: Final = 1.0e4  # intervals of silence beyond which more make no difference
_TAIL: Final = 0.02  # share of readings above the running quantile
_TAIL_GAIN: Final = 5.0
_TAIL_EARLY: Final = 300.0  # readings that the first guess of a tail is worth
_LN10: Final = 2.302585092994046
_RISE: Final = 1.1  # what comes next has to be this much more novel to count in full
_HALF_SCORE: Final = 4.0  # decimal orders of rarity, of both statistics together, that score one half
_BASELINE_LEARNED: Final = int(Kind.BASELINE_LEARNED)


@inlined
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
    t_us : event time; one that is not after the device's newest adds no time
    x : (channels,) values in the type's dtype, read only where ``scored`` has the channel's bit; finite there
    interval_us : the device's nominal interval; 0 while it is not known: every gap then counts as one
    ev : with room for ``MAX_EVENTS``
    """
    if len(p.channel) == 0:
        return
    steps = 1.0
    if s.seen_us[r] == _NEVER_US:
        s.seen_us[r] = t_us
        begin_youth(s, r, t_us)
    elif t_us > s.seen_us[r]:
        if interval_us > 0:
            steps = min((t_us - s.seen_us[r]) / interval_us, _LONGEST)
        s.seen_us[r] = t_us
    g = _regime(s, p, r, x, scored)
    if s.learned[r]:
        _follow(s, p, r, g, t_us, x, scored, steps, ev)
    else:
        _learn(s, p, r, g, t_us, x, scored, steps, ev)


@kernel
def relearn(s: SignalState, p: SignalParams, r: int) -> None:
    """Forget everything of device ``r``: it is another machine now, with a baseline to be learned."""
    s.health[r] = np.nan
    s.observed[r] = 0.0
    s.anomaly_score[r] = 0.0
    forget_excursions(s, r)
    s.patterns[r] = 0
    s.regime[r] = 0
    s.steady[r] = 255
    s.first_day[r] = 0
    s.learned[r] = 0
    s.readings[r] = 0
    s.disturbed[r] = 0
    s.seen_us[r] = _NEVER_US
    s.mean[r] = 0.0
    s.spread[r] = 0.0
    s.counted[r] = 0
    s.bond[r] = 0.0
    s.track[r] = 0.0
    s.marks[r] = 0
    s.tail[r] = 0.0
    s.peak[r] = 0.0


@kernel
def reset_detectors(s: SignalState, p: SignalParams, r: int) -> None:
    """Put device ``r`` back to where its baseline left it: no anomaly, no pattern, full health.

    A device that is still learning goes on as it was. No event is emitted: the maintenance record says it.
    """
    if s.learned[r] == 0:
        return
    s.anomaly_score[r] = 0.0
    end_excursion(s, p, r)
    s.patterns[r] = 0
    s.peak[r] = 0.0
    _settle(s, p, r)
    for j in range(len(p.channel)):
        s.track[r, FAST, j] = 0.0
        s.track[r, LEVEL, j] = 0.0
        for layer in range(QUIET + 1, s.marks.shape[1]):
            s.marks[r, layer, j] = 0
        s.marks[r, GAP, j] = 0
    score_health(s, p, r)


def give_baseline(
    s: SignalState,
    p: SignalParams,
    r: int,
    mean: NDArray[np.float64],
    spread: NDArray[np.float64],
    correlation: NDArray[np.float64] | None = None,
) -> None:
    """Set the baseline of device ``r`` from outside, as from its type or a like device; none is learned then.

    Parameters
    ----------
    mean, spread : (regimes, features) in channel units; spread is a standard deviation, above zero
    correlation : (features, features) of the features within a regime, symmetric with a unit diagonal; None:
        unknown, so the unit matrix. It is shrunk like a learned one.

    Raises
    ------
    ValueError : if a shape does not fit the device type, or a number is not finite, or a spread not above
        zero.
    """
    shape = s.mean.shape[1:]
    features = shape[1]
    matrix = np.eye(features) if correlation is None else np.asarray(correlation, np.float64)
    if np.shape(mean) != shape or np.shape(spread) != shape or matrix.shape != (features, features):
        raise ValueError(
            f"a baseline needs mean and spread of shape {shape} and correlations of {(features, features)}"
        )
    if not (
        np.isfinite(mean).all()
        and np.isfinite(spread).all()
        and np.isfinite(matrix).all()
        and np.all(spread > 0)
    ):
        raise ValueError("a baseline needs finite numbers and spreads above zero")
    relearn(s, p, r)
    s.mean[r] = mean
    s.spread[r] = spread
    s.counted[r] = 65535
    s.bond[r] = matrix[np.tril_indices(features)]
    s.readings[r] = p.baseline
    for j in range(features):
        s.track[r, NOISE, j] = 1.0
        s.track[r, WANDER, j] = 2.0 * p.fast / (2.0 - p.fast)
        s.marks[r, QUIET, j] = _code(0.25)
    _begin_tail(s, r)
    _finish(s, p, r)
    score_health(s, p, r)


@inlined
def _regime(s: SignalState, p: SignalParams, r: int, x: NDArray[Any], scored: np.uint64) -> int:
    """The regime of this line. A condition that it lacks stays as it was; its lowest bin, if never heard."""
    if len(p.condition) == 0:
        return 0
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
    s.steady[r] = min(int(s.steady[r]) + 1, 255) if new == old else 0
    s.regime[r] = new
    return new & (MAX_REGIMES - 1)


@inlined
def _clamp(value: float, limit: float) -> float:
    return min(max(value, -limit), limit)


@inlined
def _code(variance: float) -> int:
    """The code whose ``decode`` is nearest in ratio; 0 for no variance."""
    if not variance > 0.0:
        return 0
    return int(min(max(math.floor(4.0 * math.log2(variance) + 128.5), 1.0), 255.0))


@inlined
def _refine(s: SignalState, p: SignalParams, r: int, g: int, j: int, value: float) -> float:
    """Put a value into a regime's mean and spread; how far off it was, in spreads."""
    k = int(s.counted[r, g, j]) + 1
    mean = np.float64(s.mean[r, g, j])
    spread = np.float64(s.spread[r, g, j])
    s.mean[r, g, j], s.spread[r, g, j] = lanes.refined(
        float(k), value, mean, spread, np.float64(s.track[r, FAST, j]), p.resolution[j]
    )
    s.counted[r, g, j] = min(k, 65535)
    return _clamp((value - mean) / spread, lanes.REACH) if k > _FEW else 0.0


@inlined
def _learn(
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
    disturbed = False
    if s.readings[r] > lanes.UNCOUNTED + FAST_SPAN:
        for j in range(features):
            if abs(np.float64(s.track[r, FAST, j])) > _WHOLLY:
                disturbed = True
    if disturbed:
        s.disturbed[r] = min(int(s.disturbed[r]) + 1, 65535)
        if 2 * int(s.disturbed[r]) >= min(p.baseline, 65535):
            # what looked like a disturbance has become the rule: what came before was the exception
            relearn(s, p, r)
            s.seen_us[r] = t_us
            begin_youth(s, r, t_us)
            g = _regime(s, p, r, x, scored)
    heard = 0
    longest = 0
    innovation = 0.0
    t2 = 0.0
    least = p.fast / (2.0 - p.fast)
    z = p.room[0]
    own = p.room[1]
    for j in range(features):
        c = p.channel[j]
        z[j] = 0.0
        own[j] = 0.0
        if not (scored >> np.uint64(c)) & np.uint64(1):
            gap = min(int(s.marks[r, GAP, j]) + 1, 255)
            s.marks[r, GAP, j] = gap
            s.marks[r, GAP_USUAL, j] = max(int(s.marks[r, GAP_USUAL, j]), gap)
            continue
        heard += 1
        s.marks[r, GAP, j] = 0
        value = np.float64(x[c])
        raw = _refine(s, p, r, g, j, value)
        known = 0
        for regime in range(s.counted.shape[1]):
            known += int(s.counted[r, regime, j])
        longest = max(longest, known)
        k = known - lanes.UNCOUNTED
        if k <= 0:
            continue
        z[j] = _clamp(raw, p.clip)
        own[j] = k
        weight = max(p.fast, 1.0 / k)
        level = np.float64(s.track[r, LEVEL, j])
        fast = np.float64(s.track[r, FAST, j])
        fresh = raw - level
        fast += weight * (z[j] - fast)
        level += weight * fresh
        s.track[r, FAST, j] = fast
        s.track[r, LEVEL, j] = level
        wander = np.float64(s.track[r, WANDER, j])
        innovation += fresh * fresh
        t2 += level * level / (max(wander, least) if k > 2.0 * FAST_SPAN else least)
        noise = _clamp(fresh, 2.0 * p.clip)
        noise *= noise
        s.track[r, NOISE, j] += (noise - np.float64(s.track[r, NOISE, j])) / k
        running = np.float64(s.track[r, REFERENCE, j])
        running += weight * (noise - running)
        s.track[r, REFERENCE, j] = running
        if k > FAST_SPAN:
            s.track[r, WANDER, j] = wander + (fast * fast - wander) / (k - FAST_SPAN)
            code = _code(running)
            if s.marks[r, QUIET, j] == 0 or code < s.marks[r, QUIET, j]:
                s.marks[r, QUIET, j] = code
    if heard == 0:
        return
    lines = int(s.readings[r]) + 1
    s.readings[r] = lines
    for j in range(features):
        for i in range(j + 1):
            at = j * (j + 1) // 2 + i
            k = min(own[j], own[i])
            if k > 0.0:
                s.bond[r, at] += (z[j] * z[i] - np.float64(s.bond[r, at])) / k
    if lines == p.warm:
        _begin_tail(s, r)
    elif lines > p.warm:
        _tell(s, p, r, innovation / heard, t2 / heard, steps)
        if longest >= p.baseline:
            _finish(s, p, r)
            emit(ev, _BASELINE_LEARNED, r, -1, 0, t_us, float(lines), np.nan)
            score_health(s, p, r)


@inlined
def _finish(s: SignalState, p: SignalParams, r: int) -> None:
    """Turn what was accumulated into the baseline."""
    least = p.fast / (2.0 - p.fast)
    for j in range(len(p.channel)):
        noise = np.float64(s.track[r, NOISE, j])
        s.marks[r, NOISE_USUAL, j] = _code(noise)
        s.marks[r, WANDER_USUAL, j] = _code(max(np.float64(s.track[r, WANDER, j]), least))
        s.marks[r, HABIT, j] = s.marks[r, WANDER_USUAL, j]
        quiet = p.decode[s.marks[r, QUIET, j]] / noise if noise > 0.0 and s.marks[r, QUIET, j] > 0 else 0.0
        s.marks[r, QUIET, j] = _code(quiet)
        for g in range(s.spread.shape[1]):
            s.spread[r, g, j] = max(
                np.float64(s.spread[r, g, j]),
                lanes.least_spread(p.resolution[j], np.float64(s.mean[r, g, j])),
            )
    _settle(s, p, r)
    _invert(s, p, r)
    s.learned[r] = 1


@inlined
def _settle(s: SignalState, p: SignalParams, r: int) -> None:
    """Let the references be what the baseline says."""
    for j in range(len(p.channel)):
        s.track[r, REFERENCE, j] = 0.0
        s.track[r, WANDER, j] = p.decode[s.marks[r, WANDER_USUAL, j]]
        s.track[r, NOISE, j] = p.decode[s.marks[r, NOISE_USUAL, j]]


@inlined
def _begin_tail(s: SignalState, r: int) -> None:
    for i in range(2):
        s.tail[r, i, QUANTILE] = 0.5
        s.tail[r, i, EXCESS] = 0.3
        s.tail[r, i, SCATTER] = 0.3


@inlined
def _invert(s: SignalState, p: SignalParams, r: int) -> None:
    """Replace the mean products in ``bond`` by the inverse of the shrunk correlations (Cholesky)."""
    n = len(p.channel)
    a = p.square
    a[:, :] = 0.0
    root = p.room[0]
    for j in range(n):
        root[j] = math.sqrt(np.float64(s.bond[r, j * (j + 3) // 2]))
        for i in range(j):
            scale = root[j] * root[i]
            rho = np.float64(s.bond[r, j * (j + 1) // 2 + i]) / scale if scale > 0.0 else 0.0
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


@inlined
def _lengths(s: SignalState, p: SignalParams, r: int) -> tuple[float, float, float]:
    """The squared lengths of AWAY, PLAIN and FRESH under the inverse correlation matrix."""
    w = p.lanes
    total_a = total_b = total_c = 0.0
    k = 0
    for j in range(len(p.channel)):
        across_a = across_b = across_c = 0.0
        for i in range(j):
            q = np.float64(s.bond[r, k])
            k += 1
            across_a += q * w[lanes.AWAY + i]
            across_b += q * w[lanes.PLAIN + i]
            across_c += q * w[lanes.FRESH + i]
        q = np.float64(s.bond[r, k])
        k += 1
        a, b, c = w[lanes.AWAY + j], w[lanes.PLAIN + j], w[lanes.FRESH + j]
        total_a += a * (q * a + 2.0 * across_a)
        total_b += b * (q * b + 2.0 * across_b)
        total_c += c * (q * c + 2.0 * across_c)
    return max(total_a, 0.0), max(total_b, 0.0), max(total_c, 0.0)


@inlined
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
    if steps > _GAP_FROM:
        _fade(s, p, r, steps)
    judged, strange, learning, standing = _gather(s, p, r, g, x, scored)
    w = p.lanes
    if learning:
        _refine_lanes(s, p, r, g, learning)
    found = lanes.move(p, features)
    for j in range(features):
        s.track[r, FAST, j] = w[lanes.FAST + j]
        s.track[r, REFERENCE, j] = w[lanes.REFERENCE + j]
        s.track[r, WANDER, j] = w[lanes.WANDER + j]
        s.track[r, LEVEL, j] = w[lanes.LEVEL + j]
        s.track[r, NOISE, j] = w[lanes.NOISE + j]
    if found & lanes.LOOK:
        for j in range(features):
            if w[lanes.SEEN + j] > 0.0:
                if p.look[j] & lanes.LOOK:
                    watch(s, p, r, g, j, t_us, w[lanes.FRESH + j], ev)
            elif not (scored >> np.uint64(p.channel[j])) & np.uint64(1):
                missed(s, r, j, int(p.channel[j]), t_us, ev)
        standing = _standing(s, p, r)
    if judged > 0:
        t2, t2_plain, innovation = _lengths(s, p, r)
        away = w[lanes.AWAY : lanes.AWAY + features]
        judge(s, p, r, t_us, away, t2, ev)
        if watch_relations(s, p, r, g, t_us, away, t2, standing, ev):
            standing = _standing(s, p, r)
        s.readings[r] = min(int(s.readings[r]) + 1, 4294967295)
        _tell(s, p, r, innovation / judged, t2_plain / features, steps)
    if strange == 0 and found & lanes.ILL == 0 and standing == 0:
        s.observed[r] = 1.0
        s.health[r] = 100.0
    else:
        score_health(s, p, r)


@inlined
def _standing(s: SignalState, p: SignalParams, r: int) -> int:
    """The patterns present in any feature, by bit."""
    standing = 0
    for j in range(len(p.channel)):
        standing |= int(s.patterns[r, int(p.channel[j]) & (MAX_CHANNELS - 1)])
    return standing


@inlined
def _fade(s: SignalState, p: SignalParams, r: int, steps: float) -> None:
    """What was known of the present before a silence counts less after it."""
    keep = math.exp((steps - 1.0) * math.log(1.0 - p.fast))
    for j in range(len(p.channel)):
        reference = np.float64(s.track[r, REFERENCE, j])
        s.track[r, FAST, j] = reference + (np.float64(s.track[r, FAST, j]) - reference) * keep


@inlined
def _gather(
    s: SignalState, p: SignalParams, r: int, g: int, x: NDArray[Any], scored: np.uint64
) -> tuple[int, int, np.uint64, int]:
    """Lay out what the lanes need.

    Returns how many readings count; how many features are in a regime that is not known; the features that are to
    learn, as those of a regime do until it is well known, by bit; the patterns present in any feature.
    """
    w = p.lanes
    judged = strange = 0
    standing = 0
    learning = np.uint64(0)
    enough = min(p.baseline, 65535) if s.anomalous[r] == 0 else 0
    for j in range(len(p.channel)):
        c = int(p.channel[j]) & (MAX_CHANNELS - 1)
        counted = int(s.counted[r, g, j])
        known = counted >= p.known
        heard = (scored >> np.uint64(c)) & np.uint64(1) == np.uint64(1)
        w[lanes.VALUE + j] = x[c]
        w[lanes.MEAN + j] = s.mean[r, g, j]
        w[lanes.SPREAD + j] = s.spread[r, g, j]
        w[lanes.KNOWN + j] = 1.0 if known else 0.0
        w[lanes.SEEN + j] = 1.0 if known and heard else 0.0
        w[lanes.USUAL + j] = p.decode[s.marks[r, NOISE_USUAL, j]]
        w[lanes.ORDINARY + j] = p.root[s.marks[r, HABIT, j]]
        w[lanes.QUIETEST + j] = p.stuck[s.marks[r, QUIET, j]]
        w[lanes.FAST + j] = s.track[r, FAST, j]
        w[lanes.REFERENCE + j] = s.track[r, REFERENCE, j]
        w[lanes.WANDER + j] = s.track[r, WANDER, j]
        w[lanes.LEVEL + j] = s.track[r, LEVEL, j]
        w[lanes.NOISE + j] = s.track[r, NOISE, j]
        standing |= int(s.patterns[r, c])
        going_on = (
            int(s.patterns[r, c]) | s.marks[r, RISE, j] | s.marks[r, SPIKE, j] | s.marks[r, CROSSING, j]
        )
        p.look[j] = lanes.LOOK if going_on else 0
        if heard:
            s.marks[r, GAP, j] = 0
            judged += known
            if not known or counted < enough:
                learning |= np.uint64(1) << np.uint64(j)
        else:
            s.marks[r, GAP, j] = min(int(s.marks[r, GAP, j]) + 1, 255)
            p.look[j] = lanes.LOOK
        strange += not known
    return judged, strange, learning, standing


@inlined
def _refine_lanes(s: SignalState, p: SignalParams, r: int, g: int, learning: np.uint64) -> None:
    """Let the regime's mean and spread of the features ``learning`` learn from the line."""
    w = p.lanes
    for j in range(len(p.channel)):
        w[lanes.COUNT + j] = float(s.counted[r, g, j]) + 1.0
        w[lanes.GRAIN + j] = p.resolution[j]
    lanes.refine(p, len(p.channel))
    for j in range(len(p.channel)):
        if (learning >> np.uint64(j)) & np.uint64(1):
            s.mean[r, g, j] = w[lanes.MEAN_AFTER + j]
            s.spread[r, g, j] = w[lanes.SPREAD_AFTER + j]
            s.counted[r, g, j] = min(int(s.counted[r, g, j]) + 1, 65535)


@inlined
def _tell(s: SignalState, p: SignalParams, r: int, innovation: float, t2: float, steps: float) -> None:
    """Turn two mean squares into the anomaly score. What is below the recent peak counts for little."""
    novelty = _rarity(s, p, r, 0, innovation) + _rarity(s, p, r, 1, t2)
    peak = np.float64(s.peak[r]) * (p.keep if steps <= _GAP_FROM else math.exp(steps * math.log(p.keep)))
    shown = novelty
    if novelty < peak:
        share = novelty / peak
        shown *= share * share * share * share
    s.peak[r] = max(peak, _RISE * novelty)
    s.anomaly_score[r] = shown / (shown + _HALF_SCORE)


@inlined
def _rarity(s: SignalState, p: SignalParams, r: int, i: int, value: float) -> float:
    """Minus the decimal logarithm of how often statistic ``i`` is this high; 0 below its running quantile."""
    y = 0.5 * math.log(value + 1.0)
    quantile = np.float64(s.tail[r, i, QUANTILE])
    excess = np.float64(s.tail[r, i, EXCESS])
    scatter = np.float64(s.tail[r, i, SCATTER])
    weight = max(p.tail, 1.0 / (np.float64(s.readings[r]) - p.warm + _TAIL_EARLY))
    step = weight * _TAIL_GAIN * scatter
    s.tail[r, i, SCATTER] = scatter + weight * (abs(y - quantile) - scatter)
    if y <= quantile:
        s.tail[r, i, QUANTILE] = quantile - step * _TAIL
        return 0.0
    over = y - quantile
    s.tail[r, i, QUANTILE] = quantile + step * (1.0 - _TAIL)
    s.tail[r, i, EXCESS] = excess + min(weight / _TAIL, 0.3) * (min(over, 5.0 * excess) - excess)
    return (over / max(excess, 1.0e-3) - math.log(_TAIL)) / _LN10
