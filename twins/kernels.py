"""The one compiled pass over readings: it scores live twins, replays, training features and forks alike.

For each line, in order: judge every channel's reading (late, duplicate, BAD, from the future), let due timers fire, update
signals, health and patterns, then alerts. No clocks, logging or Ray; the same lines give the same bits however they are
cut into batches.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twins import alerts, signals
from twins.alert_state import AlertState
from twins.alerts import AlertParams
from twins.compiling import inlined, kernel
from twins.devices import DeviceType
from twins.emit import emit
from twins.events import EventBuffer, Kind
from twins.readings import MAX_CHANNELS, Fate
from twins.signals import SignalParams, SignalState
from twins.state import IMPORTING, LAG_NEVER, NEVER_US, RETIRED, STALE, CoreState

MAX_EVENTS_PER_LINE: Final = 2 + signals.MAX_EVENTS + alerts.MAX_EVENTS
"""Room that a kernel wants in the event buffer before it takes a line."""

DECLARED: Final = 65535
"""``CoreState.gaps`` of a device whose interval was declared rather than learned."""

_GAPS_LEARNED: Final = 400
_ROW_BITS: Final = (
    0x7FFFFFFF  # of a row; said of an index, it spares each access the question whether it is negative
)

_STALE_EVENT: Final = int(Kind.DEVICE_STALE)
_REPORTING_EVENT: Final = int(Kind.DEVICE_REPORTING)
_SCORED: Final = int(Fate.SCORED)
_BAD: Final = int(Fate.BAD)
_LATE: Final = int(Fate.LATE)
_DUPLICATE: Final = int(Fate.DUPLICATE)
_FUTURE: Final = int(Fate.FUTURE)
_EMPTY: Final = int(Fate.EMPTY)
_ONE: Final = np.uint64(1)
_NONE: Final = np.uint64(0)
_EVERY: Final = np.uint64(2**MAX_CHANNELS - 1)


class Limits(NamedTuple):
    """What a reading may be, and when a device counts as silent."""

    low: NDArray[np.float64]  # (channels,)
    high: NDArray[np.float64]
    whole: NDArray[np.bool_]  # (channels,) only whole numbers: state and flag
    max_ahead_us: int
    stale_intervals: float
    stale_at_least_us: int


class LineResults(NamedTuple):
    """What became of each line of a batch, as wide as the batch."""

    fate: NDArray[np.uint8]
    bad: NDArray[np.uint64]  # channels stored as BAD
    late: NDArray[np.uint64]  # channels older than their newest
    duplicate: NDArray[np.uint64]  # channels that repeat their newest
    health: NDArray[np.float32]
    anomaly_score: NDArray[np.float32]
    anomalous: NDArray[np.uint8]
    patterns: NDArray[np.uint8]  # of all channels together, bit i: events.PATTERNS[i]

    def lines(self, start: int, stop: int) -> "LineResults":
        """The results of lines ``start`` to ``stop``, as views."""
        return LineResults(*(column[start:stop] for column in self))  # type: ignore[arg-type]

    @staticmethod
    def join(parts: "Sequence[LineResults]") -> "LineResults":
        """One part after the other."""
        return LineResults(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def limits(
    device_type: DeviceType,
    max_ahead_s: float,
    stale_intervals: float,
    stale_at_least_s: float,
) -> Limits:
    """The limits of a device type, as arrays."""
    return Limits(
        np.array([channel.low for channel in device_type.channels], np.float64),
        np.array([channel.high for channel in device_type.channels], np.float64),
        np.array([channel.kind in ("state", "flag") for channel in device_type.channels]),
        round(max_ahead_s * 1e6),
        float(stale_intervals),
        round(stale_at_least_s * 1e6),
    )


def line_results(n: int) -> LineResults:
    """Room for the results of ``n`` lines."""
    return LineResults(
        np.zeros(n, np.uint8),
        np.zeros(n, np.uint64),
        np.zeros(n, np.uint64),
        np.zeros(n, np.uint64),
        np.full(n, np.nan, np.float32),
        np.full(n, np.nan, np.float32),
        np.zeros(n, np.uint8),
        np.zeros(n, np.uint8),
    )


@inlined
def stale_due(core: CoreState, lim: Limits, r: int) -> int:
    """When device ``r`` counts as silent, shard time; NEVER_US while that cannot be said."""
    if core.heard_us[r] == NEVER_US or core.interval_us[r] == 0:
        return NEVER_US
    wait = int(lim.stale_intervals * core.interval_us[r])
    return core.heard_us[r] + max(wait, lim.stale_at_least_us)


@inlined
def fall_silent(core: CoreState, lim: Limits, r: int, now_us: int, ev: EventBuffer) -> None:
    """Mark device ``r`` STALE if that is due by ``now_us``."""
    if core.status[r] & (STALE | RETIRED):
        return
    due = stale_due(core, lim, r)
    if due != NEVER_US and due <= now_us:
        core.status[r] |= STALE
        emit(ev, _STALE_EVENT, r, -1, 0, due, (due - core.heard_us[r]) / 1e6, np.nan)


@inlined
def learn_interval(core: CoreState, r: int, t_us: int) -> None:
    """Follow the median gap of a device's first readings: exact at once where the cadence is regular.

    A stochastic-approximation median (Robbins and Monro 1951): the estimate moves towards each gap by a shrinking share of
    itself and never past it.
    """
    if core.gaps[r] >= _GAPS_LEARNED or core.event_us[r] == NEVER_US:
        return
    gap = t_us - core.event_us[r]
    if gap <= 0:
        return
    k = core.gaps[r]
    estimate = core.interval_us[r]
    if k == 0:
        estimate = gap
    else:
        step = max(1, int(estimate * (0.5 / (1.0 + 0.125 * k))))
        estimate = min(gap, estimate + step) if gap > estimate else max(gap, estimate - step)
    core.interval_us[r] = estimate
    core.gaps[r] = k + 1


@kernel
def apply_lines(
    core: CoreState,
    sig: SignalState,
    alert: AlertState,
    lim: Limits,
    sp: SignalParams,
    ap: AlertParams,
    rows: NDArray[np.int32],
    event_us: NDArray[np.int64],
    values: NDArray[Any],
    present: NDArray[np.uint64],
    now_us: int,
    start: int,
    out: LineResults,
    ev: EventBuffer,
) -> int:
    """Apply lines ``start`` onwards; stops early when ``ev`` has no room for another. Returns the first line not applied."""
    n, channels = values.shape
    latest_us = now_us + lim.max_ahead_us
    last_start = len(ev.items) - MAX_EVENTS_PER_LINE
    every = _EVERY >> np.uint64(MAX_CHANNELS - channels)
    for k in range(start, n):
        if ev.used[0] > last_start:
            return k
        r = int(rows[k]) & _ROW_BITS
        t = event_us[k]
        if core.status[r] & RETIRED:
            out.fate[k] = _EMPTY
            core.counts[r, _EMPTY] += 1
            continue
        if t > latest_us:
            out.fate[k] = _FUTURE
            core.counts[r, _FUTURE] += 1
            continue

        mask = present[k]
        scored, bad, late, duplicate = _NONE, _NONE, _NONE, _NONE
        device_us = core.event_us[r]
        ahead = t > device_us  # then it is news to every channel
        if ahead and mask == every and _all_good(lim, values, k):
            scored, mask = every, _NONE
        for c in range(channels if mask else 0):
            bit = _ONE << np.uint64(c)
            if not mask & bit:
                continue
            if not ahead:
                lag = _lag(core, r, c)
                if lag < device_us - t:
                    late |= bit
                    continue
                if lag == device_us - t:
                    duplicate |= bit
                    continue
            x = values[k, c]
            # NaN fails every comparison, so it is caught by asking what must hold
            if (
                x >= lim.low[c]
                and x <= lim.high[c]
                and np.isfinite(x)
                and (not lim.whole[c] or x == np.floor(x))
            ):
                scored |= bit
            else:
                bad |= bit
        out.bad[k] = bad
        out.late[k] = late
        out.duplicate[k] = duplicate

        if scored or bad:
            moment_us = now_us
            if core.status[r] & IMPORTING:
                moment_us = max(t, core.heard_us[r])
            first = ev.used[0]
            fall_silent(core, lim, r, moment_us, ev)
            alerts.fire_due(alert, ap, core, sig, r, t, moment_us, ev)
            _order_by_time(ev, first)
            learn_interval(core, r, t)
            _put_values(core, r, values, k, scored, every)
            if ahead:
                _go_on(core, r, t - device_us, scored | bad, every)
            else:
                for c in range(channels):
                    if (scored | bad) & (_ONE << np.uint64(c)):
                        _put_lag(core, r, c, device_us - t)
            core.bad[r] = (core.bad[r] & ~scored) | bad
            if ahead:
                core.event_us[r] = t
            if core.status[r] & STALE:
                core.status[r] &= np.uint8(255 - STALE)
                silent_s = (moment_us - core.heard_us[r]) / 1e6
                emit(ev, _REPORTING_EVENT, r, -1, 0, moment_us, silent_s, np.nan)
            core.heard_us[r] = moment_us
            if scored:
                signals.observe(sig, sp, r, t, values[k], scored, core.interval_us[r], ev)
            alerts.evaluate(alert, ap, core, sig, r, t, moment_us, scored, ev)

        if scored:
            fate = _SCORED
        elif bad:
            fate = _BAD
        elif late:
            fate = _LATE
        elif duplicate:
            fate = _DUPLICATE
        else:
            fate = _EMPTY
        out.fate[k] = fate
        core.counts[r, fate] += 1
        out.health[k] = sig.health[r]
        out.anomaly_score[k] = sig.anomaly_score[r]
        out.anomalous[k] = sig.anomalous[r]
        union = np.uint8(0)
        for c in range(channels):
            union |= sig.patterns[r, c]
        out.patterns[k] = union
    return n


@inlined
def _lag(core: CoreState, r: int, c: int) -> int:
    """How far channel ``c``'s newest reading is behind the device's, µs; LAG_NEVER: it has none."""
    lag: Any = (np.int64(core.lag_high[r, c]) << 32) | np.int64(core.lag_low[r, c])
    return lag


@inlined
def _put_lag(core: CoreState, r: int, c: int, lag_us: int) -> None:
    lag_us = min(lag_us, LAG_NEVER - 1)
    core.lag_low[r, c] = lag_us & 0xFFFFFFFF
    core.lag_high[r, c] = lag_us >> 32


@inlined
def _go_on(core: CoreState, r: int, step_us: int, news: np.uint64, every: np.uint64) -> None:
    """The device goes on by ``step_us``, and with it the channels ``news``; others fall behind."""
    if news == every:
        for c in range(core.lag_low.shape[1]):
            core.lag_low[r, c] = 0
            core.lag_high[r, c] = 0
        return
    for c in range(core.lag_low.shape[1]):
        if news & (_ONE << np.uint64(c)):
            _put_lag(core, r, c, 0)
            continue
        lag = _lag(core, r, c)
        if lag != LAG_NEVER:
            _put_lag(core, r, c, lag + min(step_us, LAG_NEVER))


@inlined
def _put_values(
    core: CoreState, r: int, values: NDArray[Any], k: int, scored: np.uint64, every: np.uint64
) -> None:
    if scored == every:
        for c in range(values.shape[1]):
            core.last_value[r, c] = values[k, c]
        return
    for c in range(values.shape[1]):
        if scored & (_ONE << np.uint64(c)):
            core.last_value[r, c] = values[k, c]


@inlined
def _all_good(lim: Limits, values: NDArray[Any], k: int) -> bool:
    """Whether no value of line ``k`` is BAD, asked of all channels at once."""
    wrong = 0
    for c in range(values.shape[1]):
        x = values[k, c]
        wrong |= 0 if (x >= lim.low[c]) & (x <= lim.high[c]) & (x - x == 0.0) else 1
        wrong |= 1 if lim.whole[c] & (x != np.floor(x)) else 0
    return wrong == 0


@kernel
def advance_rows(
    core: CoreState,
    sig: SignalState,
    alert: AlertState,
    lim: Limits,
    ap: AlertParams,
    first: int,
    stop: int,
    now_us: int,
    ev: EventBuffer,
) -> int:
    """Fire what is due by shard time in rows ``first`` to ``stop``, while ``ev`` has room. Returns the next row."""
    last_start = len(ev.items) - MAX_EVENTS_PER_LINE
    for r in range(first, stop):
        if ev.used[0] > last_start:
            return r
        if core.status[r] & (RETIRED | IMPORTING):
            continue
        begin = ev.used[0]
        fall_silent(core, lim, r, now_us, ev)
        alerts.fire_due(alert, ap, core, sig, r, core.event_us[r], now_us, ev)
        _order_by_time(ev, begin)
    return stop


@inlined
def _order_by_time(ev: EventBuffer, first: int) -> None:
    """Sort the few events from ``first`` on by time; equal times keep their order."""
    for i in range(first + 1, ev.used[0]):
        j = i
        while j > first and ev.items[j].at_us < ev.items[j - 1].at_us:
            one, other = ev.items[j], ev.items[j - 1]
            one.at_us, other.at_us = other.at_us, one.at_us
            one.row, other.row = other.row, one.row
            one.kind, other.kind = other.kind, one.kind
            one.slot, other.slot = other.slot, one.slot
            one.occurrence, other.occurrence = other.occurrence, one.occurrence
            one.a, other.a = other.a, one.a
            one.b, other.b = other.b, one.b
            j -= 1
