"""When standing far off is news: the state ``anomalous``, its onset and end. Compiled.

T² (``signals.py``) over its limit for a while, or far over it, starts an anomaly; T² well below ends it. The
limit is the same for all devices, times a *bar* that each device raises for itself, because how far one strays
while healthy is a matter of its duty, its surroundings and its age:

* **Ceilings.** What an excursion reached is remembered, with a margin. One that is no larger is no news for
  weeks: the memory fades by the day. A single excursion raises the bar to no more than ``_GROWTH`` times what
  it was, so that a fault does not hide those after it. There are two ceilings, one for the time after a change of
  the operating regime, when channels that lag behind have yet to arrive, and one for all other times.
* **Youth.** What a baseline says of the hour after it, it does not say of the night. In a device's first week the
  bar rises with the time since its baseline, in lengths of that baseline, and excursions below it raise the ceiling
  silently. A week, because people, buildings and weather come round in days and weeks, at whatever cadence a
  device reports.
* **One incident.** An onset soon after the last one's end is the same incident; no ceiling holds it back.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twins.clock import DAY_US
from twins.compiling import inlined
from twins.emit import emit
from twins.events import EventBuffer, Kind
from twins.patterns import JUMPED
from twins.traces import (
    FAST,
    HABIT,
    REFERENCE_SPAN,
    RISE,
    STEADY,
    UNSTEADY,
    WANDER_USUAL,
    SignalParams,
    SignalState,
)

YOUTH_DAYS: Final = 7
"""Days, by the calendar of UTC, in which a device shows what it usually does."""

_SETTLED: Final = (
    255  # lines in one regime after which all channels have arrived; as many as ``steady`` counts
)
_MARGIN: Final = 1.5
_GROWTH: Final = 8.0
_FADING_DAYS: Final = 30.0
_BASELINES: Final = (
    2.0  # lengths of a baseline that it can speak for, and by which the bar rises by its first height
)
_STRAYS: Final = 3.0  # wanders of the baseline that FAST strays by chance
_HABIT_SHARE: Final = 0.5  # of the square of the furthest that it went beyond
_ALL_DAYS: Final = 0xFFFF
_ANOMALY_STARTED: Final = int(Kind.ANOMALY_STARTED)
_ANOMALY_ENDED: Final = int(Kind.ANOMALY_ENDED)


@inlined
def begin_youth(s: SignalState, r: int, t_us: int) -> None:
    """The first line of device ``r`` comes at ``t_us``. Whose baseline was given is grown up."""
    grown_up = YOUTH_DAYS if s.learned[r] else 0
    s.first_day[r] = (_day(t_us) - grown_up) & _ALL_DAYS


@inlined
def forget_excursions(s: SignalState, r: int) -> None:
    """Birth: nothing has been reached."""
    s.anomalous[r] = 0
    s.streak[r] = 0
    s.calm[r] = 65535
    s.ceiling[r] = 0.0
    s.ceiling_day[r] = 0


@inlined
def end_excursion(s: SignalState, p: SignalParams, r: int) -> None:
    """Maintenance: what stood off was no habit, so the ceilings are what they were before it."""
    if s.anomalous[r]:
        for when in range(2):
            s.ceiling[r, when] = min(np.float64(s.ceiling[r, when]), p.decode[s.streak[r]])
    s.anomalous[r] = 0
    s.streak[r] = 0
    s.calm[r] = 65535


@inlined
def judge(
    s: SignalState,
    p: SignalParams,
    r: int,
    t_us: int,
    away: NDArray[np.float64],
    t2: float,
    ev: EventBuffer,
) -> None:
    """Start or end the anomaly of device ``r`` after a line whose T² is ``t2``.

    Parameters
    ----------
    away : (features,) the standardised vector behind T²
    """
    height = t2 / p.on_at
    if s.anomalous[r]:
        if t2 < p.off_at:
            s.anomalous[r] = 0
            s.streak[r] = 0
            emit(ev, _ANOMALY_ENDED, r, -1, 0, t_us, np.float64(s.anomaly_score[r]), np.nan)
        else:
            _reach(s, r, t_us, min(_MARGIN * height, _GROWTH * p.decode[s.streak[r]]))
        return
    s.calm[r] = min(int(s.calm[r]) + 1, 65535)
    young = ((_day(t_us) - int(s.first_day[r])) & _ALL_DAYS) < YOUTH_DAYS
    if height <= 1.0:
        s.streak[r] = 0
        if young:
            _get_used(s, p, r)
        return
    bar = 1.0
    if s.calm[r] > REFERENCE_SPAN:
        bar = max(bar, _ceiling(s, r, t_us))
    if young:
        unproven = (s.readings[r] - p.baseline) / (_BASELINES * p.baseline)
        unproven = min(max(unproven, 1.0), _GROWTH)
        bar = max(bar, unproven)
        _reach(s, r, t_us, min(_MARGIN * height, unproven))
    s.streak[r] = min(int(s.streak[r]) + 1, 255) if height > bar else 0
    if s.streak[r] >= p.confirm or t2 > p.clear_at * bar:
        s.anomalous[r] = 1
        s.streak[r] = _quarter_octaves(bar)
        s.calm[r] = 0
        slot = _culprit(s, p, r, away)
        emit(ev, _ANOMALY_STARTED, r, slot, 0, t_us, np.float64(s.anomaly_score[r]), np.nan)


@inlined
def _get_used(s: SignalState, p: SignalParams, r: int) -> None:
    """Where a young device goes without a jump is where it ordinarily goes: HABIT."""
    for j in range(len(p.channel)):
        beyond = abs(np.float64(s.track[r, FAST, j])) - _STRAYS * p.root[s.marks[r, WANDER_USUAL, j]]
        if beyond > 0.0 and s.marks[r, RISE, j] != JUMPED:
            habit = int(s.marks[r, HABIT, j])
            while habit < 255 and p.decode[habit] < _HABIT_SHARE * beyond * beyond:
                habit += 1
            s.marks[r, HABIT, j] = habit


@inlined
def _ceiling(s: SignalState, r: int, t_us: int) -> float:
    """The present one of the two ceilings, faded."""
    when = STEADY if s.steady[r] >= _SETTLED else UNSTEADY
    days = (_day(t_us) - int(s.ceiling_day[r, when])) & _ALL_DAYS
    return np.float64(s.ceiling[r, when]) * math.exp(-days / _FADING_DAYS)


@inlined
def _reach(s: SignalState, r: int, t_us: int, height: float) -> None:
    """Lift the present ceiling to ``height`` if it is lower."""
    if height > _ceiling(s, r, t_us):
        when = STEADY if s.steady[r] >= _SETTLED else UNSTEADY
        s.ceiling[r, when] = height
        s.ceiling_day[r, when] = _day(t_us)


@inlined
def _day(t_us: int) -> int:
    """The day of an event time, as days are kept: since the epoch, modulo 65536."""
    return int((t_us // DAY_US) & _ALL_DAYS)


@inlined
def _quarter_octaves(bar: float) -> int:
    """The code whose ``SignalParams.decode`` is nearest to a bar, which is 1 or more."""
    return int(min(math.floor(4.0 * math.log2(bar) + 128.5), 255.0))


@inlined
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
