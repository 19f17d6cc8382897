"""One figure for a device's condition, 0 to 100, and what each channel takes from it.

Each feature has three indicators, all against the baseline alone, so that a machine does not become healthy by being ill for
long: *level*, how far its mean stands off beyond what the baseline itself wandered; *noise*, how much louder it is;
*relation*, whether it still goes with the others. An indicator has a severity, zero while ordinary and bounded above, the
bound falling with the number of features: one sensor of many is weaker evidence than the only one. With S the sum of all
severities the device loses ``100 (1 - exp(-S))`` points, shared out in proportion. Points are whole 64ths, so that
``100 - sum(points)`` is ``health`` exactly, in float32 as in any other number.

Health says nothing of what it cannot see: a channel that is missing, stuck or in a regime not yet known lowers ``observed``,
the share of the features that are seen, and not the score. Before the baseline is learned, health is NaN.
"""

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twins.patterns import DECORRELATION, DROPOUT, STUCK

if TYPE_CHECKING:
    from twins.signals import SignalParams, SignalState

INDICATORS: Final = ("level", "noise", "relation")

LEVEL_SPAN: Final = 80.0
"""Span of the mean that health looks at, in readings."""

_LEVEL, _NOISE = 3, 4  # layers of SignalState.track
_NOISE_USUAL, _WANDER_USUAL = 2, 3  # layers of SignalState.marks
_UNSEEN: Final = (1 << STUCK) | (1 << DROPOUT)


@njit(cache=True)
def severities(s: "SignalState", p: "SignalParams", r: int, j: int) -> tuple[float, float, float]:
    """The severities of level, noise and relation of feature ``j``; zeros where it cannot be seen."""
    flags = s.patterns[r, p.channel[j]]
    if (flags & np.uint8(_UNSEEN)) or s.count[r, s.regime[r], j] < p.known:
        return 0.0, 0.0, 0.0
    most = 3.0 / math.sqrt(float(len(p.channel)))
    wander = math.sqrt(p.decode[s.marks[r, _WANDER_USUAL, j]])
    beyond = abs(float(s.track[r, _LEVEL, j])) - 3.0 * wander - 0.5
    level = min(beyond / (6.0 * max(wander, 0.5)), most) if beyond > 0.0 else 0.0
    noise = 0.0
    if s.marks[r, _NOISE_USUAL, j] > 0:
        ratio = float(s.track[r, _NOISE, j]) / p.decode[s.marks[r, _NOISE_USUAL, j]]
        if ratio > 4.0:
            noise = min((math.log2(ratio) - 2.0) / 4.0, most)
    relation = min(0.35, most) if flags & np.uint8(1 << DECORRELATION) else 0.0
    return level, noise, relation


@njit(cache=True)
def score_health(s: "SignalState", p: "SignalParams", r: int) -> None:
    """Bring ``health`` and ``observed`` of device ``r`` up to date with the rest of its state."""
    if s.learned[r] == 0:
        return
    features = len(p.channel)
    total = 0.0
    seen = 0
    for j in range(features):
        flags = s.patterns[r, p.channel[j]]
        if not (flags & np.uint8(_UNSEEN)) and s.count[r, s.regime[r], j] >= p.known:
            seen += 1
        level, noise, relation = severities(s, p, r, j)
        total += level
        total += noise
        total += relation
    s.observed[r] = seen / features
    lost = 0.0
    if total > 0.0:
        scale = 6400.0 * (1.0 - math.exp(-total)) / total
        for j in range(features):
            level, noise, relation = severities(s, p, r, j)
            lost += math.floor(scale * level) + math.floor(scale * noise) + math.floor(scale * relation)
    s.health[r] = 100.0 - lost / 64.0


@njit(cache=True)
def _points(s: "SignalState", p: "SignalParams", r: int, out: NDArray[np.float32]) -> None:
    if s.learned[r] == 0:
        out[:] = np.nan
        return
    features = len(p.channel)
    total = 0.0
    for j in range(features):
        level, noise, relation = severities(s, p, r, j)
        total += level
        total += noise
        total += relation
    scale = 6400.0 * (1.0 - math.exp(-total)) / total if total > 0.0 else 0.0
    for j in range(features):
        level, noise, relation = severities(s, p, r, j)
        out[p.channel[j], 0] = math.floor(scale * level) / 64.0
        out[p.channel[j], 1] = math.floor(scale * noise) / 64.0
        out[p.channel[j], 2] = math.floor(scale * relation) / 64.0


def breakdown(s: "SignalState", p: "SignalParams", rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
    """What each channel's indicators take from the health of some devices.

    Parameters
    ----------
    rows : (n,) rows of the shard

    Returns
    -------
    ``{"level": (n, channels), "noise": ..., "relation": ...}``, points of 100, whole 64ths: for each row
    ``100 - sum == health``, exactly. Zero for channels that are no features; NaN throughout before the baseline is learned.
    """
    points = np.zeros((len(rows), s.patterns.shape[1], len(INDICATORS)), np.float32)
    for k, row in enumerate(rows):
        _points(s, p, int(row), points[k])
    return {name: points[:, :, i] for i, name in enumerate(INDICATORS)}
