"""Recognise seven patterns in a channel: where each starts, how large it is, how sure that is. Compiled.

============= ========================================================== ================================
pattern       present while                                              size (``a`` of its events)
============= ========================================================== ================================
drift         FAST stands off the baseline and was long in getting there distance from the baseline
shift         FAST stands off REFERENCE                                  distance from before
spike         a single reading stands off LEVEL                          distance from LEVEL
stuck         the noise that the baseline had is gone                    standard deviation that it had
oscillation   the noise has grown and swings at a steady period          amplitude
dropout       the channel is missing where others of the device arrive   lines missed
decorrelation the channel no longer follows the others                   what they leave open of it
============= ========================================================== ================================

Sizes are in channel units, distances signed, a dropout's in lines.
Confidence (``b``) is 0.5 where a pattern is only just recognised and nears 1 as its measure grows: ``1 - 0.5 / q²``,
q the ratio of the measure to the threshold. Each pattern ends at a lower threshold than it starts at, so none
chatters. A channel that was constant throughout its baseline is never stuck, and one that was often
still has to be still for twice as long as it ever was.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twins.compiling import inlined
from twins.emit import emit
from twins.events import EventBuffer, Kind
from twins.traces import (
    CROSSING,
    FAST,
    GAP,
    GAP_USUAL,
    HABIT,
    HITS,
    NOISE,
    NOISE_USUAL,
    PERIOD,
    QUIET,
    REFERENCE,
    RISE,
    SPIKE,
    WANDER,
    SignalParams,
    SignalState,
)

DRIFTING, SHIFTED, SPIKED, STUCK, OSCILLATING, MISSING, DECORRELATED = range(7)
"""The bits of the patterns, as in ``events.PATTERNS``."""

JUMPED: Final = 255
"""In ``marks`` under RISE: the feature has not been near the baseline since it jumped off it."""

_STARTED: Final = int(Kind.PATTERN_STARTED)
_ENDED: Final = int(Kind.PATTERN_ENDED)

_DRIFT_ON, _DRIFT_OFF = 3.0, 1.5  # spreads of the baseline
_DRIFT_WANDER_ON, _DRIFT_WANDER_OFF = 6.0, 3.0  # and square roots of its wander
_RISE_FROM = 2.0  # square roots of its wander from which a way is timed
_RISE_QUICK = 40  # readings, two spans: what was there sooner has jumped
_SHIFT_ON, _SHIFT_OFF = 6.0, 1.5  # square roots of WANDER
_SPIKE_ON = 8.0  # square roots of NOISE
_SPIKE_HELD = 20  # readings
_STUCK_OFF = 0.1  # share of the usual noise
_SWINGS_ON, _SWINGS_OFF = 6, 2  # periods that agree
_SWING_ON, _SWING_OFF = 4.0, 1.5  # times the usual noise, as variance
_LONGEST_PERIOD = 127
_MISSED_ON = 3  # times the longest gap of the baseline, and two lines more
_MISSED_MOST = 80  # a channel that rare is never missed
_OPEN_ON, _OPEN_OFF = 6.0, 2.0  # standard deviations of what the other channels leave open
_BOUND = 1.25  # the inverse correlation matrix's diagonal: the others explain at least a fifth


@inlined
def _turn(
    s: SignalState,
    r: int,
    c: int,
    pattern: int,
    present: bool,
    size: float,
    strength: float,
    t_us: int,
    ev: EventBuffer,
) -> None:
    """Start a pattern, or end it where it is ``present``."""
    confidence = 1.0 - 0.5 / (strength * strength) if strength > 1.0 else 0.5
    bit = 1 << pattern
    if present:
        s.patterns[r, c] &= np.uint8(255 - bit)
        emit(ev, _ENDED, r, c, pattern, t_us, size, confidence)
    else:
        s.patterns[r, c] |= np.uint8(bit)
        emit(ev, _STARTED, r, c, pattern, t_us, size, confidence)


@inlined
def missed(s: SignalState, r: int, j: int, c: int, t_us: int, ev: EventBuffer) -> None:
    """Look at feature ``j`` (channel ``c``) after a line that lacked it."""
    usual = int(s.marks[r, GAP_USUAL, j])
    gap = int(s.marks[r, GAP, j])
    limit = _MISSED_ON * (usual + 1) + 2
    if usual < _MISSED_MOST and gap >= limit and not (s.patterns[r, c] >> MISSING) & 1:
        _turn(s, r, c, MISSING, False, float(gap), gap / limit, t_us, ev)


@inlined
def asks(
    fresh: float,
    fast: float,
    reference: float,
    wander: float,
    noise: float,
    usual: float,
    ordinary: float,
    quietest: float,
) -> bool:
    """Whether ``watch`` has to look at a feature in which nothing goes on yet; all numbers after the line.

    ``usual`` is the baseline's noise, ``ordinary`` the root of HABIT, ``quietest`` the share of noise that is stuck.
    """
    off = fast - reference
    return (
        (off * off > _SHIFT_ON * _SHIFT_ON * wander)
        | (abs(reference + off) >= _RISE_FROM * ordinary)
        | (fresh * fresh > _SPIKE_ON * _SPIKE_ON * max(noise, usual))
        | (noise < usual * quietest)
        | (noise > _SWING_OFF * usual)
    )


@inlined
def watch(
    s: SignalState, p: SignalParams, r: int, g: int, j: int, t_us: int, fresh: float, ev: EventBuffer
) -> None:
    """Look at feature ``j`` after a reading in regime ``g`` that was ``fresh`` off the LEVEL before it."""
    c = int(p.channel[j])
    flags = int(s.patterns[r, c])
    reference = np.float64(s.track[r, REFERENCE, j])
    wander = np.float64(s.track[r, WANDER, j])
    off = np.float64(s.track[r, FAST, j]) - reference
    spread = np.float64(s.spread[r, g, j])

    if (flags >> MISSING) & 1:
        _turn(s, r, c, MISSING, True, 0.0, 1.0, t_us, ev)

    if (flags >> SHIFTED) & 1:
        if off * off < _SHIFT_OFF * _SHIFT_OFF * wander:
            _turn(s, r, c, SHIFTED, True, off * spread, 1.0, t_us, ev)
    elif s.anomalous[r] and off * off > _SHIFT_ON * _SHIFT_ON * wander:
        _turn(s, r, c, SHIFTED, False, off * spread, abs(off) / (_SHIFT_ON * math.sqrt(wander)), t_us, ev)
    _drift(s, r, j, c, t_us, reference + off, p.root[s.marks[r, HABIT, j]], spread, ev)

    if s.marks[r, NOISE_USUAL, j] == 0:
        return
    usual = p.decode[s.marks[r, NOISE_USUAL, j]]
    noise = np.float64(s.track[r, NOISE, j])
    _spike(s, r, j, c, t_us, fresh, max(noise, usual), spread, ev)

    if s.marks[r, QUIET, j]:
        quiet = p.stuck[s.marks[r, QUIET, j]]
        if (flags >> STUCK) & 1:
            if noise > usual * max(_STUCK_OFF, quiet):
                _turn(s, r, c, STUCK, True, spread, 1.0, t_us, ev)
        elif noise < usual * quiet:
            _turn(s, r, c, STUCK, False, spread, usual * quiet / max(noise, 1.0e-30), t_us, ev)

    if noise > _SWING_OFF * usual:
        _swing(s, r, j, fresh)
    elif s.marks[r, CROSSING, j]:
        s.marks[r, CROSSING, j] = 0
        s.marks[r, PERIOD, j] = 0
        s.marks[r, HITS, j] = 0
    hits = int(s.marks[r, HITS, j])
    if (flags >> OSCILLATING) & 1:
        if hits <= _SWINGS_OFF or noise < _SWING_OFF * usual:
            _turn(s, r, c, OSCILLATING, True, math.sqrt(2.0 * noise) * spread, 1.0, t_us, ev)
    elif hits >= _SWINGS_ON and noise > _SWING_ON * usual:
        strength = math.sqrt(noise / usual / _SWING_ON)
        _turn(s, r, c, OSCILLATING, False, math.sqrt(2.0 * noise) * spread, strength, t_us, ev)


@inlined
def _drift(
    s: SignalState,
    r: int,
    j: int,
    c: int,
    t_us: int,
    now: float,
    wander: float,
    spread: float,
    ev: EventBuffer,
) -> None:
    """A drift is a slow way from the baseline: what jumped there is none until it has been back."""
    far = abs(now)
    rise = int(s.marks[r, RISE, j])
    if far < _RISE_FROM * wander:
        rise = 0
    elif rise < JUMPED:
        rise = min(rise + 1, JUMPED - 1)
    limit = max(_DRIFT_ON, _DRIFT_WANDER_ON * wander)
    if (int(s.patterns[r, c]) >> DRIFTING) & 1:
        if far < max(_DRIFT_OFF, _DRIFT_WANDER_OFF * wander):
            _turn(s, r, c, DRIFTING, True, now * spread, 1.0, t_us, ev)
    elif far > limit and rise < JUMPED:
        if rise > _RISE_QUICK:
            _turn(s, r, c, DRIFTING, False, now * spread, far / limit, t_us, ev)
        else:
            rise = JUMPED
    s.marks[r, RISE, j] = rise


@inlined
def _spike(
    s: SignalState,
    r: int,
    j: int,
    c: int,
    t_us: int,
    fresh: float,
    noise: float,
    spread: float,
    ev: EventBuffer,
) -> None:
    """A spike is one reading: what stays away for a second is none. None starts within a span of another."""
    held = int(s.marks[r, SPIKE, j])
    high = fresh * fresh > _SPIKE_ON * _SPIKE_ON * noise
    if held == 0 and not high:
        return
    present = (int(s.patterns[r, c]) >> SPIKED) & 1 == 1
    if high:
        s.marks[r, SPIKE, j] = _SPIKE_HELD
        if held == 0 or (present and held == _SPIKE_HELD):
            strength = abs(fresh) / (_SPIKE_ON * math.sqrt(noise))
            _turn(s, r, c, SPIKED, present, fresh * spread, strength, t_us, ev)
    else:
        s.marks[r, SPIKE, j] = held - 1
        if present and held == 1:
            _turn(s, r, c, SPIKED, True, fresh * spread, 1.0, t_us, ev)


@inlined
def _swing(s: SignalState, r: int, j: int, fresh: float) -> None:
    """While it is loud, count how often the time between upward crossings is about as long as before."""
    mark = int(s.marks[r, CROSSING, j])
    since = min((mark & 127) + 1, _LONGEST_PERIOD)
    if fresh > 0.0 and mark < 128:
        before = int(s.marks[r, PERIOD, j])
        hits = int(s.marks[r, HITS, j])
        alike = before > 1 and since < _LONGEST_PERIOD and 4 * abs(since - before) <= max(before, 4)
        s.marks[r, HITS, j] = min(hits + 1, 250) if alike else hits // 2
        s.marks[r, PERIOD, j] = since
        since = 0
    s.marks[r, CROSSING, j] = since + (128 if fresh > 0.0 else 0)


@inlined
def watch_relations(
    s: SignalState,
    p: SignalParams,
    r: int,
    g: int,
    t_us: int,
    away: NDArray[np.float64],
    t2: float,
    standing: int,
    ev: EventBuffer,
) -> bool:
    """Look for channels that the other channels no longer explain; False: there was no need to look.

    ``away`` (features,) is the standardised vector behind T² (``t2``), in regime ``g``; ``standing`` the patterns
    present in any feature. With Q the inverse
    correlation matrix, what the others leave open of feature j is ``(Q away)_j / sqrt(Q_jj)`` standard
    deviations.
    """
    if t2 < _OPEN_ON * _OPEN_ON and not (standing >> DECORRELATED) & 1:
        return False
    for j in range(len(away)):
        c = int(p.channel[j])
        own = np.float64(s.bond[r, j * (j + 3) // 2])
        total = 0.0
        for i in range(len(away)):
            at = j * (j + 1) // 2 + i if i <= j else i * (i + 1) // 2 + j
            total += s.bond[r, at] * away[i]
        left = abs(total) / math.sqrt(own)
        present = (int(s.patterns[r, c]) >> DECORRELATED) & 1 == 1
        ends = present and left < _OPEN_OFF
        starts = not present and own > _BOUND and left > _OPEN_ON and left > _BOUND * abs(away[j])
        starts = starts and s.anomalous[r] == 1
        if starts or ends:
            size = total / own * math.sqrt(np.float64(s.track[r, WANDER, j])) * np.float64(s.spread[r, g, j])
            _turn(s, r, c, DECORRELATED, present, size, left / _OPEN_ON, t_us, ev)
    return True
