"""The ISA-18.2 life cycle of every (device, rule), compiled: conditions, delays, latches, shelves.

Source: ANSI/ISA-18.2-2016, alarm state transitions (as restated by public sources); OPC UA Part 9 for
one-shot shelving.

What is kept of each (device, rule), and where, is said in ``alert_state.py``. What a condition did before (the
deadbands' memory) is one bit an atom. Two clocks: conditions and their delays run on the device's event time,
silence and shelves on shard time. A delay ends with the millisecond in which it is over.

While an alert is shelved, suppressed or out of service its condition is followed all the same, silently;
when the last of these ends and the condition holds, it is raised anew, as a new occurrence.
"""

from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twins.alert_state import (
    ACTIVE,
    FAR_US,
    FLAG_BITS,
    FLAGS,
    HIDDEN,
    LATCHED,
    MAX_OCCURRENCE,
    OUT,
    PARENT,
    PENDING,
    SHELVED,
    SUPPRESSED,
    UNACKED,
    AlertState,
    due_of,
    entry_of,
    put_word,
    stamp_of,
    word_of,
)
from twins.compiling import inlined, kernel
from twins.emit import emit
from twins.events import EventBuffer, Kind
from twins.rules import (
    ABOVE,
    ABSENT,
    AND,
    ANOMALOUS,
    ANOMALY_SCORE,
    BAD,
    BELOW,
    CHANNEL,
    CHANNEL_PATTERN,
    EQUAL,
    HEALTH,
    MAX_RULES,
    OFF_DELAY_INTERVALS,
    ON_DELAY_INTERVALS,
    OR,
    PATTERN,
    PRESENT,
    RATE,
    RATE_INTERVALS,
    SCORE,
    AlertParams,
)

MAX_EVENTS: Final = 5 * MAX_RULES
"""The most that one line can cause here: for each rule a shelf's end (2), a timer (2), its condition (1)."""


class AlertPhase(IntEnum):
    """The states of ISA-18.2."""

    NORMAL = 0
    UNACK = 1
    ACKED = 2
    RTN_UNACK = 3
    LATCHED_UNACK = 4
    LATCHED_ACKED = 5
    SHELVED = 6
    SUPPRESSED_BY_DESIGN = 7
    OUT_OF_SERVICE = 8


PHASES: Final[NDArray[np.uint8]] = np.array(
    [
        AlertPhase.OUT_OF_SERVICE
        if flags & OUT
        else AlertPhase.SUPPRESSED_BY_DESIGN
        if flags & (SUPPRESSED | PARENT)
        else AlertPhase.SHELVED
        if flags & SHELVED
        else (AlertPhase.UNACK if flags & UNACKED else AlertPhase.ACKED)
        if flags & ACTIVE
        else (AlertPhase.LATCHED_UNACK if flags & UNACKED else AlertPhase.LATCHED_ACKED)
        if flags & LATCHED
        else (AlertPhase.RTN_UNACK if flags & UNACKED else AlertPhase.NORMAL)
        for flags in range(256)
    ],
    np.uint8,
)
"""(256,) the ``AlertPhase`` of each combination of flags."""

_RAISED: Final = int(Kind.ALERT_RAISED)
_RERAISED: Final = int(Kind.ALERT_RERAISED)
_RETURNED: Final = int(Kind.ALERT_RETURNED)
_LATCHED: Final = int(Kind.ALERT_LATCHED)
_ACKNOWLEDGED: Final = int(Kind.ALERT_ACKNOWLEDGED)
_RESET: Final = int(Kind.ALERT_RESET)
_SHELVED: Final = int(Kind.ALERT_SHELVED)
_UNSHELVED: Final = int(Kind.ALERT_UNSHELVED)
_SUPPRESSED: Final = int(Kind.ALERT_SUPPRESSED)
_UNSUPPRESSED: Final = int(Kind.ALERT_UNSUPPRESSED)

_NEVER_US: Final = -(2**63)
_MS: Final = 1000
_MAX_STAMP_S: Final = 0xFFFFFFFF
_MAX_DELAY_US: Final = 20 * 86_400_000_000
_ZERO: Final = np.uint64(0)


# -- what readings and time do -----------------------------------------------------------------------------


@inlined
def fire_due(
    a: AlertState, p: AlertParams, core: Any, s: Any, r: int, t_us: int, now_us: int, ev: EventBuffer
) -> None:
    """Fire what is due for device ``r``: by shard time up to ``now_us``, then by event time up to ``t_us``.

    Called before a line of event time ``t_us`` touches ``core`` or ``s``, and as time passes.
    """
    clock_us = FAR_US
    for i in range(len(p.silences)):
        clock_us = min(clock_us, _silent_at(p, core, r, i))
    if a.first[r]:
        clock_us = min(clock_us, _earliest(a, p, r)[1])
    if clock_us <= now_us:
        _fire_clock(a, p, core, s, r, now_us, ev)
    if a.first[r]:
        _fire_delays(a, p, core, s, r, t_us, ev)


@inlined
def evaluate(
    a: AlertState,
    p: AlertParams,
    core: Any,
    s: Any,
    r: int,
    t_us: int,
    now_us: int,
    scored: np.uint64,
    ev: EventBuffer,
) -> None:
    """Look at the conditions of device ``r`` once a line of event time ``t_us`` is in ``core`` and ``s``.

    Conditions change at the device's newest event time; one about silence clears at ``now_us``. What is
    unknown (NaN) is past no limit.
    """
    for j in range(len(p.rate_channel)):
        c = p.rate_channel[j]
        if (scored >> np.uint64(c)) & np.uint64(1):
            _follow_rate(a, r, j, t_us, float(core.last_value[r, c]), core.interval_us[r])
    changed = False
    calm = _channels_calm(p, core, r)
    for w in range(len(p.words)):
        before = a.atoms[r, w]
        word = _ZERO
        if not calm:
            for i in range(p.words[w].start, p.words[w].split):
                source = p.sources[i]
                x = float(core.last_value[r, source.index])
                if not (source.low <= x <= source.high):
                    word |= _atoms(p, i, x, before)
        for i in range(p.words[w].split, p.words[w].stop):
            source = p.sources[i]
            x = _read(a, core, s, r, source.kind, source.index)
            if not (source.low <= x <= source.high):
                word |= _atoms(p, i, x, before)
        if word != before:
            a.atoms[r, w] = word
            changed = True
    if changed:
        at_us = core.event_us[r]
        for k in range(len(p.rules)):
            if p.rules[k].silence < 0:
                _condition(a, p, core, s, r, k, _holds(a, p, r, k), at_us, ev)
            elif word_of(a, r, k) & (ACTIVE | PENDING) == ACTIVE:
                _heard_again(a, p, core, s, r, k, now_us, ev)


@inlined
def _channels_calm(p: AlertParams, core: Any, r: int) -> bool:
    """Whether no comparison of a channel holds, whatever held before; asked of all channels at once."""
    odd = 0
    for c in range(len(p.calm_low)):
        x = float(core.last_value[r, c])
        odd |= 0 if (x >= p.calm_low[c]) & (x <= p.calm_high[c]) else 1
    return odd == 0


@kernel
def follow_parents(
    a: AlertState,
    p: AlertParams,
    core: Any,
    s: Any,
    rows: NDArray[np.int32],
    start: int,
    now_us: int,
    ev: EventBuffer,
) -> int:
    """Suppress and release what the parents' states in ``core.status`` ask for, from ``rows[start]`` on.

    Stops early when ``ev`` has no room for another row. Returns the first place in ``rows`` not done.
    """
    for n in range(start, len(rows)):
        if ev.used[0] + 2 * MAX_EVENTS > len(ev.items):
            return n
        r = int(rows[n])  # as wide as everywhere else: one compiled form of what is called
        _fire_clock(a, p, core, s, r, now_us, ev)
        for k in range(len(p.rules)):
            why = p.rules[k].suppressed_by & core.status[r]
            suppressed = word_of(a, r, k) & PARENT != 0
            if why and not suppressed:
                hide(a, r, k, PARENT, _SUPPRESSED, now_us, float(why), ev)
            elif not why and suppressed:
                reveal(a, p, core, s, r, k, PARENT, _UNSUPPRESSED, now_us, ev)
    return len(rows)


# -- what people do; whether they may is for the caller to ask ---------------------------------------------


@kernel
def acknowledge(a: AlertState, r: int, k: int, now_us: int, ev: EventBuffer) -> None:
    """UNACK → ACKED, RTN_UNACK → NORMAL, LATCHED_UNACK → LATCHED_ACKED."""
    word = word_of(a, r, k)
    put_word(a, r, k, word & ~UNACKED)
    emit(ev, _ACKNOWLEDGED, r, k, occurrence_of(word), now_us, np.nan, np.nan)


@kernel
def reset(a: AlertState, r: int, k: int, now_us: int, ev: EventBuffer) -> None:
    """LATCHED_ACKED → NORMAL, LATCHED_UNACK → RTN_UNACK."""
    word = word_of(a, r, k)
    put_word(a, r, k, word & ~LATCHED)
    emit(ev, _RESET, r, k, occurrence_of(word), now_us, np.nan, np.nan)


@kernel
def shelve(a: AlertState, r: int, k: int, until_us: int, now_us: int, ev: EventBuffer) -> None:
    """Put aside until ``until_us``, rounded up to a second; 0: until the condition next clears (one-shot)."""
    until_s = -(-until_us // 1_000_000)
    hide(a, r, k, SHELVED, _SHELVED, now_us, float(until_s) * 1e6 if until_s else np.nan, ev)
    a.entries[entry_of(a, r, k)].stamp_s = np.uint32(until_s)


@kernel
def hide(
    a: AlertState, r: int, k: int, flag: int, kind: int, now_us: int, why: float, ev: EventBuffer
) -> None:
    """Shelve, suppress or take out of service. What has latched stays so; the rest asks for nothing more."""
    word = word_of(a, r, k)
    if not word & (HIDDEN | LATCHED):
        word &= ~UNACKED
    put_word(a, r, k, word | flag)
    emit(ev, kind, r, k, occurrence_of(word), now_us, why, np.nan)


@kernel
def reveal(
    a: AlertState,
    p: AlertParams,
    core: Any,
    s: Any,
    r: int,
    k: int,
    flag: int,
    kind: int,
    at_us: int,
    ev: EventBuffer,
) -> None:
    """End one reason for hiding. With the last of them gone, a condition that holds is raised anew."""
    _bring_back(a, r, k, flag, kind, at_us, ev)
    if word_of(a, r, k) & (HIDDEN | ACTIVE) == ACTIVE:
        value, limit = reason(a, p, core, s, r, k, at_us)
        _annunciate(a, r, k, at_us, value, limit, ev)


@kernel
def reason(
    a: AlertState, p: AlertParams, core: Any, s: Any, r: int, k: int, at_us: int
) -> tuple[float, float]:
    """The newest value and the limit of rule ``k``'s first comparison that holds, else its first; NaN: none.

    For a rule about silence: how long it had lasted at ``at_us``, and its limit, s.
    """
    silence = p.rules[k].silence
    if silence >= 0:
        silent_us = _silent_us(p, core, r, silence)
        limit = np.nan if silent_us == FAR_US else silent_us / 1e6
        return (at_us - core.heard_us[r]) / 1e6, limit
    first = -1
    for n in range(p.rules[k].start, p.rules[k].stop):
        atom = p.code[n]
        if atom < 0 or p.atoms[atom].limit != p.atoms[atom].limit:
            continue
        if first < 0:
            first = atom
        if a.atoms[r, p.atoms[atom].word] & p.atoms[atom].bit:
            first = atom
            break
    if first < 0:
        return np.nan, np.nan
    source = p.sources[p.atoms[first].source]
    return _read(a, core, s, r, source.kind, source.index), p.atoms[first].limit


@inlined
def occurrence_of(word: int) -> int:
    """How often this alert has been raised, the present time included."""
    return word >> FLAG_BITS


# -- what is shown ------------------------------------------------------------------------------------


@kernel
def count_standing(
    a: AlertState,
    p: AlertParams,
    rows: NDArray[np.int64],
    standing: NDArray[np.int32],
    unacknowledged: NDArray[np.int32],
    priority: NDArray[np.uint8],
) -> None:
    """For each of ``rows``: how many alerts stand, how many ask for somebody, the most urgent priority.

    Shelved and suppressed alerts do not count; 255 is the priority of none.
    """
    for n in range(len(rows)):
        standing[n] = 0
        unacknowledged[n] = 0
        priority[n] = 255
        e = a.first[rows[n]]
        while e != 0:
            entry = a.entries[e]
            word = entry.word
            if word & HIDDEN == 0 and word & (ACTIVE | UNACKED | LATCHED):
                standing[n] += 1
                priority[n] = min(priority[n], p.rules[entry.rule].priority)
                if word & UNACKED:
                    unacknowledged[n] += 1
            e = entry.next


@kernel
def find_alerting(a: AlertState, rows: NDArray[np.int32], found: NDArray[np.bool_]) -> None:
    """For each of ``rows``: whether a condition holds or is latched that nobody has put aside."""
    for n in range(len(rows)):
        found[n] = False
        e = a.first[rows[n]]
        while e != 0:
            word = a.entries[e].word
            if word & (ACTIVE | LATCHED) and word & (SHELVED | SUPPRESSED | OUT) == 0:
                found[n] = True
            e = a.entries[e].next


@kernel
def list_open(
    a: AlertState,
    p: AlertParams,
    core: Any,
    s: Any,
    rows: NDArray[np.int64],
    at: NDArray[np.int64],
    word: NDArray[np.int64],
    stamp_s: NDArray[np.int64],
    value: NDArray[np.float64],
    limit: NDArray[np.float64],
) -> int:
    """Find the alerts of ``rows`` that stand, or are put aside by somebody, or hold while put aside.

    Writes ``row * rules + rule``, word, stamp, newest value and limit of as many as there is room for. Returns
    how many there are.
    """
    found = 0
    rules = len(p.rules)
    for r in rows:
        if a.first[r] == 0:
            continue
        for k in range(rules):
            if word_of(a, r, k) & FLAGS & ~(PENDING | PARENT):
                if found < len(at):
                    at[found] = r * rules + k
                    word[found] = word_of(a, r, k)
                    stamp_s[found] = stamp_of(a, r, k)
                    value[found], limit[found] = reason(a, p, core, s, r, k, core.heard_us[r])
                found += 1
    return found


# -- conditions --------------------------------------------------------------------------------------------


@inlined
def _read(a: AlertState, core: Any, s: Any, r: int, kind: int, index: int) -> float:
    """What an atom compares; flags are 0 and 1."""
    if kind == CHANNEL:
        return float(core.last_value[r, index])
    if kind == HEALTH:
        return float(s.health[r])
    if kind == ANOMALY_SCORE:
        return float(s.anomaly_score[r])
    if kind == ANOMALOUS:
        return 1.0 if s.anomalous[r] else 0.0
    if kind == CHANNEL_PATTERN:
        return float((s.patterns[r, index >> 3] >> (index & 7)) & 1)
    if kind == PATTERN:
        found = 0
        for c in range(s.patterns.shape[1]):
            found |= s.patterns[r, c] >> index
        return float(found & 1)
    if kind == BAD:
        return float((core.bad[r] >> np.uint64(index)) & np.uint64(1))
    if kind == SCORE:
        return float(a.scores[r, index])
    if kind == RATE:
        return float(a.rate[r, index, 2])
    return 0.0  # silence: the device has just been heard


@inlined
def _atoms(p: AlertParams, i: int, x: float, before: np.uint64) -> np.uint64:
    """The bits of the atoms of source ``i`` that hold at ``x``."""
    word = _ZERO
    for j in range(p.sources[i].start, p.sources[i].stop):
        atom = p.atoms[j]
        bit = atom.bit
        operator = atom.operator
        edge = atom.clear if before & bit else atom.set
        if operator == ABOVE:
            holds = x > edge
        elif operator == BELOW:
            holds = x < edge
        elif operator == EQUAL:
            holds = x == edge
        elif operator == PRESENT:
            holds = x == x
        elif operator == ABSENT:
            holds = x != x
        else:
            holds = x < edge or x > edge
        if holds:
            word |= bit
    return word


@inlined
def _holds(a: AlertState, p: AlertParams, r: int, k: int) -> bool:
    """Run the program of rule ``k``; its stack is the bits of one number."""
    stack = _ZERO
    one = np.uint64(1)
    for n in range(p.rules[k].start, p.rules[k].stop):
        step = p.code[n]
        if step >= 0:
            held = a.atoms[r, p.atoms[step].word] & p.atoms[step].bit != _ZERO
            stack = (stack << one) | np.uint64(held)
        elif step == AND:
            stack = (stack >> one) & (stack | ~one)
        elif step == OR:
            stack = (stack >> one) | (stack & one)
    return bool(stack & one)


@inlined
def _follow_rate(a: AlertState, r: int, j: int, t_us: int, x: float, interval_us: int) -> None:
    """Brown's double exponential smoothing in implicit form, exact for a ramp however its samples are spaced.

    Source: Brown 1959; the implicit (backward Euler) step ``dt / (tau + dt)`` replaces the fixed constant.
    """
    tau_us = RATE_INTERVALS * interval_us
    if a.rate[r, j, 0] != a.rate[r, j, 0]:
        a.rate[r, j, 0] = x
        a.rate[r, j, 1] = x
        a.rate[r, j, 2] = np.nan
    elif t_us > a.rate_us[r, j]:
        dt_us = float(t_us - a.rate_us[r, j])
        if tau_us <= 0.0:
            tau_us = RATE_INTERVALS * dt_us
        gain = dt_us / (tau_us + dt_us)
        a.rate[r, j, 0] += (x - a.rate[r, j, 0]) * gain
        a.rate[r, j, 1] += (a.rate[r, j, 0] - a.rate[r, j, 1]) * gain
        a.rate[r, j, 2] = (a.rate[r, j, 0] - a.rate[r, j, 1]) / tau_us * 3.6e9
    else:
        return
    a.rate_us[r, j] = t_us


@inlined
def _condition(
    a: AlertState, p: AlertParams, core: Any, s: Any, r: int, k: int, holds: bool, at_us: int, ev: EventBuffer
) -> None:
    """Rule ``k``'s condition is ``holds`` from ``at_us`` on: begin, end or go on with a delay."""
    word = word_of(a, r, k)
    if holds == (word & ACTIVE != 0):
        if word & PENDING:
            put_word(a, r, k, word & ~PENDING)
        return
    if word & PENDING:
        return
    delay_us = p.rules[k].on_us if holds else p.rules[k].off_us
    if delay_us < 0:
        intervals = ON_DELAY_INTERVALS if holds else OFF_DELAY_INTERVALS
        delay_us = min(int(intervals * core.interval_us[r]), _MAX_DELAY_US)
    if delay_us == 0:
        _settle(a, p, core, s, r, k, holds, at_us, ev)
        return
    _start_delay(a, r, k, word, at_us + delay_us)


@kernel
def _settle(
    a: AlertState,
    p: AlertParams,
    core: Any,
    s: Any,
    r: int,
    k: int,
    active: bool,
    at_us: int,
    ev: EventBuffer,
) -> None:
    """The delay is over: the condition counts as met, or as cleared."""
    word = word_of(a, r, k) & ~(ACTIVE | PENDING)
    if word & HIDDEN:
        put_word(a, r, k, word | ACTIVE if active else word)
        if not active and word & SHELVED and stamp_of(a, r, k) == 0:
            _bring_back(a, r, k, SHELVED, _UNSHELVED, at_us, ev)
        return
    value, limit = reason(a, p, core, s, r, k, at_us)
    if active:
        put_word(a, r, k, word | ACTIVE)
        _annunciate(a, r, k, at_us, value, limit, ev)
    elif p.rules[k].latch:
        put_word(a, r, k, word | LATCHED)
        emit(ev, _LATCHED, r, k, occurrence_of(word), at_us, value, np.nan)
    else:
        put_word(a, r, k, word)
        emit(ev, _RETURNED, r, k, occurrence_of(word), at_us, value, np.nan)


@kernel
def _bring_back(a: AlertState, r: int, k: int, flag: int, kind: int, at_us: int, ev: EventBuffer) -> None:
    """End one reason for hiding."""
    word = word_of(a, r, k) & ~flag
    e = put_word(a, r, k, word)
    if e and word & FLAGS and flag == SHELVED:
        a.entries[e].stamp_s = _seconds(at_us)
    emit(ev, kind, r, k, occurrence_of(word), at_us, np.nan, np.nan)


@kernel
def _annunciate(
    a: AlertState, r: int, k: int, at_us: int, value: float, limit: float, ev: EventBuffer
) -> None:
    """Tell people: a new occurrence, or again the one that still asks for attention."""
    word = word_of(a, r, k)
    occurrence = occurrence_of(word)
    again = word & (UNACKED | LATCHED) != 0
    if not again:
        occurrence = min(occurrence + 1, MAX_OCCURRENCE)
    flags = (word & FLAGS & ~LATCHED) | UNACKED
    e = put_word(a, r, k, occurrence << FLAG_BITS | flags)
    if not again:
        a.entries[e].stamp_s = _seconds(at_us)
    emit(ev, _RERAISED if again else _RAISED, r, k, occurrence, at_us, value, limit)


# -- timers ------------------------------------------------------------------------------------------------


@kernel
def _fire_delays(
    a: AlertState, p: AlertParams, core: Any, s: Any, r: int, t_us: int, ev: EventBuffer
) -> None:
    """End the delays of device ``r`` that are over by event time ``t_us``, in their order."""
    while True:
        at_us = _earliest(a, p, r)[0]
        if at_us > t_us:
            return
        for k in range(len(p.rules)):
            if p.rules[k].silence < 0 and due_of(a, r, k) == at_us:
                _settle(a, p, core, s, r, k, word_of(a, r, k) & ACTIVE == 0, at_us, ev)


@inlined
def _earliest(a: AlertState, p: AlertParams, r: int) -> tuple[int, int]:
    """When the first delay in event time is over, and when by shard time a shelf ends or a delay after silence."""
    due_us = FAR_US
    clock_us = FAR_US
    e = a.first[r]
    while e != 0:
        entry = a.entries[e]
        if p.rules[entry.rule].silence < 0:
            due_us = min(due_us, entry.due_us)
        else:
            clock_us = min(clock_us, entry.due_us)
        if entry.word & SHELVED and entry.stamp_s:
            shelf_us: Any = np.int64(entry.stamp_s) * 1_000_000
            clock_us = min(clock_us, shelf_us)
        e = entry.next
    return due_us, clock_us


@inlined
def _start_delay(a: AlertState, r: int, k: int, word: int, until_us: int) -> None:
    """Let a delay run; it ends with the millisecond in which it is over."""
    e = put_word(a, r, k, word | PENDING)
    a.entries[e].due_us = -(-until_us // _MS) * _MS


@kernel
def _fire_clock(
    a: AlertState, p: AlertParams, core: Any, s: Any, r: int, now_us: int, ev: EventBuffer
) -> None:
    """End shelves and count silences up to shard time ``now_us``, in the order of time, then of rules."""
    k = _next_by_clock(a, p, core, r, now_us)
    while k >= 0:
        at_us = _clock_due(a, p, core, r, k)
        if _shelf_end(a, r, k) == at_us:
            reveal(a, p, core, s, r, k, SHELVED, _UNSHELVED, at_us, ev)
        else:
            _change_silence(a, p, core, s, r, k, at_us, ev)
        k = _next_by_clock(a, p, core, r, now_us)


@kernel
def _next_by_clock(a: AlertState, p: AlertParams, core: Any, r: int, now_us: int) -> int:
    """The rule that shard time changes next, by ``now_us`` at the latest; -1: none."""
    first_us = FAR_US
    which = -1
    for k in range(len(p.rules)):
        at_us = _clock_due(a, p, core, r, k)
        if at_us <= now_us and at_us < first_us:
            first_us = at_us
            which = k
    return which


@kernel
def _clock_due(a: AlertState, p: AlertParams, core: Any, r: int, k: int) -> int:
    """When rule ``k`` next changes by shard time: its shelf ends, or silence begins or is over for good."""
    word = word_of(a, r, k)
    due_us = _shelf_end(a, r, k)
    silence = p.rules[k].silence
    if silence >= 0 and word & (ACTIVE | PENDING) != ACTIVE:
        silent_at = _silent_at(p, core, r, silence)
        if word & ACTIVE:
            due_us = min(due_us, silent_at, due_of(a, r, k))
        elif silent_at != FAR_US:
            due_us = min(due_us, silent_at + p.rules[k].on_us)
    return due_us


@kernel
def _change_silence(
    a: AlertState, p: AlertParams, core: Any, s: Any, r: int, k: int, at_us: int, ev: EventBuffer
) -> None:
    """Silence has lasted too long at ``at_us``, or the off-delay after it is over without another."""
    word = word_of(a, r, k)
    was_active = word & ACTIVE != 0
    over = was_active and due_of(a, r, k) == at_us
    if not over:
        atom = p.atoms[p.code[p.rules[k].start]]
        a.atoms[r, atom.word] |= atom.bit
    if was_active and not over:
        put_word(a, r, k, word & ~PENDING)
    else:
        _settle(a, p, core, s, r, k, not over, at_us, ev)


@kernel
def _heard_again(
    a: AlertState, p: AlertParams, core: Any, s: Any, r: int, k: int, now_us: int, ev: EventBuffer
) -> None:
    """The device speaks at ``now_us``: begin the off-delay of rule ``k`` about its silence, or end it."""
    off_us = p.rules[k].off_us
    if off_us == 0:
        _settle(a, p, core, s, r, k, False, now_us, ev)
        return
    _start_delay(a, r, k, word_of(a, r, k), now_us + off_us)


@inlined
def _silent_at(p: AlertParams, core: Any, r: int, i: int) -> int:
    """When a device that is not heard from now on counts as silent; FAR_US while that cannot be said."""
    heard_us: int = core.heard_us[r]
    silent_us = _silent_us(p, core, r, i)
    return FAR_US if silent_us == FAR_US else heard_us + silent_us


@inlined
def _silent_us(p: AlertParams, core: Any, r: int, i: int) -> int:
    """How long a silence rule ``i`` allows; FAR_US while that cannot be said."""
    silent_us: int = p.silences[i].us
    if core.heard_us[r] == _NEVER_US:
        return FAR_US
    if silent_us >= 0:
        return silent_us
    if core.interval_us[r] == 0:
        return FAR_US
    return max(int(p.stale_intervals * float(core.interval_us[r])), p.stale_at_least_us)


@inlined
def _shelf_end(a: AlertState, r: int, k: int) -> int:
    """When a timed shelf ends; FAR_US: there is none, or it is one-shot."""
    until_s: int = stamp_of(a, r, k)
    return until_s * 1_000_000 if until_s and word_of(a, r, k) & SHELVED else FAR_US


@inlined
def _seconds(at_us: int) -> np.uint32:
    """A time as a stamp: whole seconds, 1970-01-01 00:00:01 to 2106."""
    return np.uint32(min(max(at_us // 1_000_000, 1), _MAX_STAMP_S))
