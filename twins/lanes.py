"""The arithmetic of one line, all features side by side. Compiled; no branch, so the machine takes several at once.

A *lane* is a feature. What a lane needs is gathered from a device's row into scratch (``SignalParams.lanes``, one row of
``ROOM`` numbers for each quantity), moved on here, and put back by ``signals.py``. Most features of most lines
do nothing that asks for a decision: the loop tells which do, and only those are looked at one by one.

Each lane is computed by itself, in float64 and in the order written, so a feature comes to the same bits whatever
stands beside it and however wide the machine is.
"""

import math
from typing import Final

import numpy as np

from twins.compiling import inlined
from twins.health import costs
from twins.patterns import asks
from twins.traces import LANES, SignalParams

VALUE, MEAN, SPREAD, SEEN, KNOWN, USUAL, ORDINARY, QUIETEST = (row * LANES for row in range(8))
"""Where the quantities that come with a line begin: values; the regime's mean and spread; 1 where the reading counts,
and where the regime is known, else 0; the usual noise, how far FAST ordinarily strays, the share of noise that is stuck."""

FAST, REFERENCE, WANDER, LEVEL, NOISE = (row * LANES for row in range(8, 13))
"""The layers of ``SignalState.track``: before the line, then after it, as float32 will keep them."""

AWAY, PLAIN, FRESH = (row * LANES for row in range(13, 16))
"""What comes of a line beside the layers: FAST and LEVEL off REFERENCE, in wanders; the reading off LEVEL."""

COUNT, GRAIN, MEAN_AFTER, SPREAD_AFTER = (row * LANES for row in range(16, 20))
"""For ``refine``: readings behind the regime's mean and spread, this one included; the channel's resolution; then what
mean and spread come to."""

LOOK, ILL = 1, 2
"""Bits of ``SignalParams.look``: a pattern may begin, go on or end; the feature may cost health."""

REACH: Final = 1.0e3
"""The furthest that a standardised value counts."""

_WANDER_CLIP: Final = 25.0  # the most that one reading counts in WANDER and NOISE, in multiples of them
_CLIP_WANDER: Final = 6.0  # square roots of WANDER that a reading may always move FAST
_GROUP: Final = 8  # lanes that a machine takes at once; 64 bytes of float64

UNCOUNTED: Final = 16
"""Readings that only give a first mean and spread."""

_WINSOR: Final = 4.0  # the furthest that one reading moves a mean, in spreads
_DISTURBED: Final = 2.5  # a smoothed feature further off than this is disturbed,
_WINSOR_DISTURBED: Final = 1.5  # and its readings move a mean by less


@inlined
def least_spread(resolution: float, mean: float) -> float:
    """No channel is believed steadier than its resolution allows, or than one part in 100,000."""
    return resolution * 0.2886751345948129 + abs(mean) * 1.0e-5 + 1.0e-12


@inlined
def refined(
    count: float, value: float, mean: float, spread: float, fast: float, resolution: float
) -> tuple[float, float]:
    """Mean and spread of ``count`` values, of which ``value`` is the last (Welford 1962, winsorised)."""
    limit = (_WINSOR if abs(fast) < _DISTURBED else _WINSOR_DISTURBED) * spread
    step = value - mean
    step = min(max(step, -limit), limit) if count > UNCOUNTED else step
    weight = 1.0 / count
    wide = max(
        math.sqrt((1.0 - weight) * (spread * spread + weight * step * step)), least_spread(resolution, mean)
    )
    first = count == 1.0
    return value if first else mean + weight * step, least_spread(resolution, value) if first else wide


@inlined
def refine(p: SignalParams, features: int) -> None:
    """Let mean and spread of the regime learn from the line; FAST is still that before it."""
    w = p.lanes
    for j in range((features + _GROUP - 1) & -_GROUP):
        mean, spread = refined(
            w[COUNT + j], w[VALUE + j], w[MEAN + j], w[SPREAD + j], w[FAST + j], w[GRAIN + j]
        )
        w[MEAN_AFTER + j] = mean
        w[SPREAD_AFTER + j] = spread


@inlined
def move(p: SignalParams, features: int) -> int:
    """Move all lanes on by one line; the bits of ``look`` that any of them set.

    ``look`` holds what already asks to be looked at. Lanes beyond the features, up to a whole group, come to nothing.
    """
    w = p.lanes
    least = p.fast / (2.0 - p.fast)
    found = 0
    for j in range((features + _GROUP - 1) & -_GROUP):
        seen = w[SEEN + j] > 0.0
        known = w[KNOWN + j] > 0.0
        usual = w[USUAL + j]
        ordinary = w[ORDINARY + j]
        fast_before = w[FAST + j]
        reference_before = w[REFERENCE + j]
        wander_before = w[WANDER + j]
        level_before = w[LEVEL + j]
        noise_before = w[NOISE + j]

        z = min(max((w[VALUE + j] - w[MEAN + j]) / w[SPREAD + j], -REACH), REACH)
        root = math.sqrt(wander_before)
        limit = max(p.clip, _CLIP_WANDER * root)
        step = min(max(z - reference_before, -limit), limit)
        fast = fast_before + p.fast * (reference_before + step - fast_before)
        fresh = z - level_before
        level = level_before + p.fast * fresh
        off = fast - reference_before
        wide = p.doubt * p.doubt * wander_before
        reference = reference_before + p.reference * step * wide / (wide + off * off)
        stray = min(off * off, _WANDER_CLIP * wander_before)
        wander = max(wander_before + p.wander * (stray - wander_before), least)
        loudest = _WANDER_CLIP * max(noise_before, usual)
        noise = noise_before + p.fast * (min(fresh * fresh, loudest) - noise_before)

        fast = fast if seen else fast_before
        level = level if seen else level_before
        fresh = fresh if seen else 0.0
        scale = 1.0 / root
        w[AWAY + j] = (fast - reference_before) * scale if known else 0.0
        w[PLAIN + j] = (level - reference_before) * scale if known else 0.0
        w[FRESH + j] = fresh

        fast = np.float64(np.float32(fast))
        level = np.float64(np.float32(level))
        reference = np.float64(np.float32(reference if seen else reference_before))
        wander = np.float64(np.float32(wander if seen else wander_before))
        noise = np.float64(np.float32(noise if seen else noise_before))
        w[FAST + j] = fast
        w[LEVEL + j] = level
        w[REFERENCE + j] = reference
        w[WANDER + j] = wander
        w[NOISE + j] = noise

        look = p.look[j]
        look |= (
            LOOK
            if seen & asks(fresh, fast, reference, wander, noise, usual, ordinary, w[QUIETEST + j])
            else 0
        )
        look |= ILL if costs(level, fast, noise, usual, ordinary) else 0
        p.look[j] = look
        found |= look if j < features else 0
    return found
