"""Recognise seven patterns in a channel, each with where it starts, how large it is and how sure that is. Compiled.

| pattern | present while | size (``a`` of its events) |
|---|---|---|
| drift | the slow reference has moved away from the baseline | channel units, signed |
| shift | the fast mean stands off the reference | channel units, signed |
| spike | a single reading stands off the fast mean | channel units, signed |
| stuck | the noise that the baseline had is gone | readings' standard deviation in the baseline, channel units |
| oscillation | the noise has grown and swings at a steady period | amplitude, channel units |
| dropout | the channel is missing where others of the device arrive | lines missed |
| decorrelation | the channel no longer follows the others | what they do not explain, channel units, signed |

Confidence (``b``) is 0.5 where the pattern is only just recognised and nears 1 as its measure grows: ``1 - 0.5 / q²`` with q
the ratio to the threshold. Each pattern ends at a lower threshold than it starts at, so that none chatters.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twins.emit import emit
from twins.events import EventBuffer, Kind

if TYPE_CHECKING:
    from twins.signals import SignalParams, SignalState

DRIFT, SHIFT, SPIKE, STUCK, OSCILLATION, DROPOUT, DECORRELATION = range(7)
"""Positions in ``events.PATTERNS``."""

_STARTED: Final = int(Kind.PATTERN_STARTED)
_ENDED: Final = int(Kind.PATTERN_ENDED)

# layers of SignalState.track and .marks (twins.signals imports this module)
_FAST, _REFERENCE, _WANDER, _NOISE = 0, 1, 2, 4
_GAP, _GAP_USUAL, _NOISE_USUAL, _QUIET, _CROSSING, _PERIOD, _HITS, _SPIKE = 0, 1, 2, 4, 5, 6, 7, 8

_DRIFT_ON, _DRIFT_OFF = 2.0, 1.0  # standard deviations of the baseline
_DRIFT_WANDER_ON, _DRIFT_WANDER_OFF = 4.0, 2.5  # and standard deviations of the wander
_SHIFT_ON, _SHIFT_OFF = 6.0, 1.5  # standard deviations of the wander
_SPIKE_ON = 8.0  # standard deviations of the noise
_SPIKE_HELD = 20  # readings
_STUCK_OFF = 0.1  # share of the usual noise
_STUCK_LEAST = 1.0e-11
_SWINGS_ON, _SWINGS_OFF = 6, 2  # periods that agree
_SWING_ON, _SWING_OFF = 4.0, 1.5  # times the usual noise, as variance
_RELATION_ON, _RELATION_OFF = 6.0, 2.0  # standard deviations of what the other channels leave open
_MISSED_MOST = 80


@njit(cache=True)
def _turn(
    s: "SignalState",
    r: int,
    c: int,
    pattern: int,
    on: bool,
    off: bool,
    size: float,
    strength: float,
    t_us: int,
    ev: EventBuffer,
) -> None:
    bit = np.uint8(1 << pattern)
    present = (s.patterns[r, c] & bit) != 0
    if present == off and present == (not on):
        confidence = 1.0 - 0.5 / (strength * strength) if strength > 1.0 else 0.5
        if present:
            s.patterns[r, c] &= np.uint8(255 - bit)
            emit(ev, _ENDED, r, c, pattern, t_us, size, confidence)
        else:
            s.patterns[r, c] |= bit
            emit(ev, _STARTED, r, c, pattern, t_us, size, confidence)


@njit(cache=True)
def watch(
    s: "SignalState",
    p: "SignalParams",
    r: int,
    j: int,
    c: int,
    t_us: int,
    fresh: float,
    heard: bool,
    ev: EventBuffer,
) -> None:
    """Look at feature ``j`` (channel ``c``) of device ``r`` after a line that had it (``heard``) or not.

    ``fresh`` is the standardised distance of the reading from the fast mean before it.
    """
    spread = float(s.spread[r, s.regime[r], j])
    gap = int(s.marks[r, _GAP, j])
    missed = 3 * (int(s.marks[r, _GAP_USUAL, j]) + 1) + 2
    if not heard:
        if s.marks[r, _GAP_USUAL, j] < _MISSED_MOST:
            _turn(s, r, c, DROPOUT, gap >= missed, False, float(gap), gap / missed, t_us, ev)
        return
    _turn(s, r, c, DROPOUT, False, True, 0.0, 1.0, t_us, ev)

    reference = float(s.track[r, _REFERENCE, j])
    wander = float(s.track[r, _WANDER, j]) ** 0.5
    off_reference = float(s.track[r, _FAST, j]) - reference
    far = abs(reference)
    q = min(far / _DRIFT_ON, far / (_DRIFT_WANDER_ON * wander))
    _turn(
        s,
        r,
        c,
        DRIFT,
        q > 1.0,
        far < _DRIFT_OFF or far < _DRIFT_WANDER_OFF * wander,
        reference * spread,
        q,
        t_us,
        ev,
    )
    q = abs(off_reference) / (_SHIFT_ON * wander)
    _turn(s, r, c, SHIFT, q > 1.0, q < _SHIFT_OFF / _SHIFT_ON, off_reference * spread, q, t_us, ev)

    usual = float(p.decode[s.marks[r, _NOISE_USUAL, j]])
    noise = float(s.track[r, _NOISE, j])
    if s.marks[r, _NOISE_USUAL, j] == 0:
        return
    _spike(s, r, j, c, t_us, fresh, max(noise, usual) ** 0.5, spread, ev)
    ratio = noise / usual
    quiet = float(p.decode[s.marks[r, _QUIET, j]])
    quiet = 0.01 * quiet * quiet
    if s.marks[r, _QUIET, j] > 0 and quiet > _STUCK_LEAST:
        q = quiet / max(ratio, 1.0e-30)
        _turn(s, r, c, STUCK, q > 1.0, ratio > max(_STUCK_OFF, quiet), spread, q, t_us, ev)
    _swing(s, r, j, fresh)
    hits = int(s.marks[r, _HITS, j])
    _turn(
        s,
        r,
        c,
        OSCILLATION,
        hits >= _SWINGS_ON and ratio > _SWING_ON,
        hits <= _SWINGS_OFF or ratio < _SWING_OFF,
        (2.0 * noise) ** 0.5 * spread,
        (ratio / _SWING_ON) ** 0.5,
        t_us,
        ev,
    )


@njit(cache=True)
def _spike(
    s: "SignalState",
    r: int,
    j: int,
    c: int,
    t_us: int,
    fresh: float,
    deviation: float,
    spread: float,
    ev: EventBuffer,
) -> None:
    """A spike is one reading; what stays away for a second one is none, and none starts within a span of another."""
    held = int(s.marks[r, _SPIKE, j])
    q = abs(fresh) / (_SPIKE_ON * deviation)
    if held == 0:
        if q > 1.0:
            s.marks[r, _SPIKE, j] = _SPIKE_HELD
            _turn(s, r, c, SPIKE, True, False, fresh * spread, q, t_us, ev)
        return
    if q > 1.0:
        s.marks[r, _SPIKE, j] = _SPIKE_HELD
        _turn(s, r, c, SPIKE, False, held == _SPIKE_HELD, fresh * spread, q, t_us, ev)
        return
    s.marks[r, _SPIKE, j] = held - 1
    _turn(s, r, c, SPIKE, False, held == 1, fresh * spread, q, t_us, ev)


@njit(cache=True)
def _swing(s: "SignalState", r: int, j: int, fresh: float) -> None:
    """Count how often one period, from upward crossing to upward crossing, is about as long as the one before."""
    mark = int(s.marks[r, _CROSSING, j])
    above, since = mark >> 7, min((mark & 127) + 1, 127)
    if fresh > 0.0 and above == 0:
        before = int(s.marks[r, _PERIOD, j])
        hits = int(s.marks[r, _HITS, j])
        if before > 1 and since < 127 and 4 * abs(since - before) <= max(before, 4):
            hits = min(hits + 1, 250)
        else:
            hits //= 2
        s.marks[r, _HITS, j] = hits
        s.marks[r, _PERIOD, j] = since
        since = 0
    s.marks[r, _CROSSING, j] = since + (128 if fresh > 0.0 else 0)


@njit(cache=True)
def watch_relations(
    s: "SignalState",
    p: "SignalParams",
    r: int,
    t_us: int,
    away: NDArray[np.float64],
    t2: float,
    ev: EventBuffer,
) -> None:
    """Look for channels that the other channels no longer explain.

    ``away`` (features,) is the standardised vector behind T² (``t2``). With Q the inverse correlation matrix, what the others
    leave open of feature j has the size ``(Q away)_j / sqrt(Q_jj)`` standard deviations.
    """
    standing = False
    for j in range(len(away)):
        if s.patterns[r, p.channel[j]] & np.uint8(1 << DECORRELATION):
            standing = True
    if not standing and t2 < _RELATION_ON * _RELATION_ON:
        return
    for j in range(len(away)):
        own = float(s.bond[r, j * (j + 3) // 2])
        total = 0.0
        for i in range(len(away)):
            at = j * (j + 1) // 2 + i if i <= j else i * (i + 1) // 2 + j
            total += s.bond[r, at] * away[i]
        left = total / own**0.5
        q = abs(left) / _RELATION_ON
        bound = own > 1.25
        size = total / own * float(s.track[r, _WANDER, j]) ** 0.5 * float(s.spread[r, s.regime[r], j])
        _turn(
            s,
            r,
            int(p.channel[j]),
            DECORRELATION,
            bound and q > 1.0 and abs(left) > 1.25 * abs(away[j]),
            q < _RELATION_OFF / _RELATION_ON,
            size,
            q,
            t_us,
            ev,
        )
