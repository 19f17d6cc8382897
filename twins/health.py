"""One figure for a device's condition, 0 to 100, and what each channel takes from it.

Each feature has three indicators, all against the baseline alone, so that no machine becomes healthy by being
ill for long: *level*, how far its mean stands off beyond what the baseline itself wandered; *noise*, how much
louder it is; *relation*, whether it still goes with the others. An indicator has a severity, zero while
ordinary and bounded. Of F features each counts for 1/√F, because one sensor of many is weaker evidence than the
only one, and because many that tell of one fault are not as many faults. With S the sum of severities the
device loses ``100 (1 - exp(-S))`` points, shared out in proportion. Points are whole 64ths, so
``100 - sum(points)`` is ``health`` exactly, in float32 as in any other number.

Health says nothing of what it cannot see: a channel that is missing, stuck, or in a regime not yet known
lowers ``observed``, the share of the features that are seen, and not the score. Until the baseline stands,
health is NaN.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twins.compiling import inlined
from twins.patterns import DECORRELATED, MISSING, STUCK
from twins.traces import FAST, HABIT, LEVEL, NOISE, NOISE_USUAL, SignalParams, SignalState

INDICATORS: Final = ("level", "noise", "relation")

_MOST = 3.0  # the bound of a severity where there is one feature
_FAST_LEAST = 3.0  # LEVEL counts up to so many times FAST, which single wild readings hardly move
_TOLERATED, _TOLERATED_WANDER = (
    0.5,
    3.0,
)  # a level costs nothing within these spreads and wanders of the baseline
_LEVEL_UNIT, _LEVEL_LEAST = (
    6.0,
    0.5,
)  # wanders (no less than so many spreads) beyond, that make a severity of one
_NOISE_FREE, _NOISE_UNIT = 2.0, 4.0  # doublings of the noise's variance that cost nothing; that make one
_RELATION = 0.35  # what a broken correlation costs


@inlined
def _seen(s: SignalState, p: SignalParams, r: int, j: int) -> bool:
    flags = int(s.patterns[r, p.channel[j]])
    hidden = (flags >> STUCK | flags >> MISSING) & 1
    return hidden == 0 and s.counted[r, s.regime[r], j] >= p.known


@inlined
def _severities(s: SignalState, p: SignalParams, r: int, j: int) -> tuple[float, float, float]:
    """Severities of level, noise and relation of feature ``j``, which is seen."""
    share = 1.0 / math.sqrt(float(len(p.channel)))
    wander = p.root[s.marks[r, HABIT, j]]
    level = 0.0
    off = min(abs(np.float64(s.track[r, LEVEL, j])), _FAST_LEAST * abs(np.float64(s.track[r, FAST, j])))
    beyond = off - _TOLERATED_WANDER * wander - _TOLERATED
    if beyond > 0.0:
        level = share * min(beyond / (_LEVEL_UNIT * max(wander, _LEVEL_LEAST)), _MOST)
    noise = 0.0
    usual = p.decode[s.marks[r, NOISE_USUAL, j]]
    if s.marks[r, NOISE_USUAL, j] and s.track[r, NOISE, j] > 2.0**_NOISE_FREE * usual:
        doublings = math.log2(np.float64(s.track[r, NOISE, j]) / usual)
        noise = share * min((doublings - _NOISE_FREE) / _NOISE_UNIT, _MOST)
    relation = 0.0
    if (int(s.patterns[r, p.channel[j]]) >> DECORRELATED) & 1:
        relation = share * _RELATION
    return level, noise, relation


@inlined
def costs(level: float, fast: float, noise: float, usual: float, wander: float) -> bool:
    """Whether a feature's level or noise has a severity; ``wander`` as a root."""
    off = min(abs(level), _FAST_LEAST * abs(fast))
    return (off - _TOLERATED_WANDER * wander - _TOLERATED > 0.0) | (noise > 2.0**_NOISE_FREE * usual)


@inlined
def _per_severity(total: float) -> float:
    """64ths of a point that one unit of severity costs where ``total`` is the sum of all."""
    return 6400.0 * (1.0 - math.exp(-total)) / total


@inlined
def score_health(s: SignalState, p: SignalParams, r: int) -> None:
    """Bring ``health`` and ``observed`` of device ``r`` up to date with the rest of its state."""
    if s.learned[r] == 0:
        return
    features = len(p.channel)
    total = 0.0
    seen = 0
    for j in range(features):
        if _seen(s, p, r, j):
            seen += 1
            level, noise, relation = _severities(s, p, r, j)
            total += level + noise + relation
    s.observed[r] = seen / features
    lost = 0.0
    if total > 0.0:
        scale = _per_severity(total)
        for j in range(features):
            if _seen(s, p, r, j):
                level, noise, relation = _severities(s, p, r, j)
                lost += math.floor(scale * level) + math.floor(scale * noise) + math.floor(scale * relation)
    s.health[r] = 100.0 - lost / 64.0


@inlined
def _points(s: SignalState, p: SignalParams, rows: NDArray[np.int64], out: NDArray[np.float32]) -> None:
    for k in range(len(rows)):
        r = rows[k]
        if s.learned[r] == 0:
            out[k] = np.nan
            continue
        total = 0.0
        for j in range(len(p.channel)):
            if _seen(s, p, r, j):
                level, noise, relation = _severities(s, p, r, j)
                total += level + noise + relation
        if not total > 0.0:
            continue
        scale = _per_severity(total)
        for j in range(len(p.channel)):
            if _seen(s, p, r, j):
                level, noise, relation = _severities(s, p, r, j)
                out[k, p.channel[j], 0] = math.floor(scale * level) / 64.0
                out[k, p.channel[j], 1] = math.floor(scale * noise) / 64.0
                out[k, p.channel[j], 2] = math.floor(scale * relation) / 64.0


def breakdown(s: SignalState, p: SignalParams, rows: NDArray[np.integer]) -> dict[str, NDArray[np.float32]]:
    """What each channel's indicators take from the health of some devices.

    Parameters
    ----------
    rows : (n,) rows of the shard

    Returns
    -------
    ``{"level": (n, channels), "noise": ..., "relation": ...}``, points of 100 in whole 64ths: for each row
    ``100 - sum == health`` exactly. Zero for channels that are no features, NaN throughout until the baseline
    stands.
    """
    points = np.zeros((len(rows), s.patterns.shape[1], len(INDICATORS)), np.float32)
    _points(s, p, np.asarray(rows, np.int64), points)
    return {name: points[:, :, i] for i, name in enumerate(INDICATORS)}
