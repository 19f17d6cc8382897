"""How well alerts serve the people who answer them: the measures of ISA-18.2, IEC 62682 and EEMUA 191.

Pure functions over the alert events that one operator position was shown; which alerts a position watches
is a filter of the caller's. Times are those at which the position could see the event (``recorded_at``), as
load and response times are the operator's, not the device's. An *annunciation* is an alert raised or raised
again.

Sources: ANSI/ISA-18.2-2016 and EEMUA 191 ed. 3 as restated by public sources; the benchmarks are theirs and
are to be read as such. Windows look back and are open at their far end: ten minutes before ``t`` is ``(t -
600 s, t]``.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twins.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from twins.devices import PRIORITIES
from twins.events import Kind

Times = NDArray[np.int64]  # µs

TEN_MINUTES_US: Final = 10 * MINUTE_US
FLOOD_ABOVE: Final = 10
"""Annunciations in ten minutes above which a flood starts …"""
FLOOD_BELOW: Final = 5
"""… and below which it ends."""
CHATTER_COUNT: Final = 3
CHATTER_US: Final = MINUTE_US
FLEETING_US: Final = MINUTE_US
"""An alert that returns sooner, and stays away at least as long, was gone before anybody could act."""
STALE_US: Final = DAY_US
BUSY_HOUR: Final = 30

BENCHMARKS: Final = {
    "annunciations_per_10_min": 1.0,  # about 1 acceptable, 2 manageable
    "peak_in_10_min": 10.0,
    "time_in_flood_share": 0.01,
    "busy_hours_share": 0.01,
    "top_10_share": 0.05,
    "chattering": 0.0,
    "stale": 5.0,
    "critical_and_high_share": 0.05,
}
"""What EEMUA 191 and IEC 62682 hold to be good, at most; for one operator position."""

_ANNUNCIATED: Final = (Kind.ALERT_RAISED, Kind.ALERT_RERAISED)
_CLEARED: Final = (Kind.ALERT_RETURNED, Kind.ALERT_LATCHED)
_PUT_ASIDE: Final = (Kind.ALERT_SHELVED, Kind.ALERT_SUPPRESSED, Kind.ALERT_OUT_OF_SERVICE)


class AlertLog(NamedTuple):
    """Alert events in the order in which they were recorded."""

    time_us: Times  # (n,) never falling
    alert: NDArray[np.int64]  # (n,) which device and rule: any number that is theirs alone
    kind: NDArray[np.int16]  # (n,) Kind
    priority: NDArray[np.uint8]  # (n,) index in PRIORITIES

    def where(self, chosen: NDArray[np.bool_]) -> "AlertLog":
        """The chosen events."""
        return AlertLog(self.time_us[chosen], self.alert[chosen], self.kind[chosen], self.priority[chosen])


class Periods(NamedTuple):
    """Stretches of time of single alerts, by alert and then by time."""

    alert: NDArray[np.int64]
    start_us: Times
    stop_us: Times  # the end of the log's time where it still lasts
    ended_by: NDArray[np.int16]  # Kind; 0: still lasts


class Floods(NamedTuple):
    """Alert floods, one after the other."""

    start_us: Times
    stop_us: Times
    annunciations: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AlertKpis:
    """One operator position over one stretch of time. Shares are 0 to 1, NaN where nothing can be shared."""

    start_us: int
    stop_us: int
    annunciations: int
    annunciations_per_10_min: float
    peak_in_10_min: int
    busy_hours_share: float
    floods: int
    time_in_flood_share: float
    worst_flood: int
    chattering: tuple[int, ...]
    fleeting: int
    stale: int
    top_10: tuple[tuple[int, int], ...]
    top_10_share: float
    by_priority: dict[str, int]
    critical_and_high_share: float
    acknowledged: int
    time_to_acknowledge_s: dict[str, float]
    longest_active_s: float
    longest_unacknowledged_s: float
    most_reraised: int

    def opc_ua_metrics(self) -> dict[str, float]:
        """The same under the names of OPC UA's AlarmMetricsType (Part 9); rates per hour, durations in s."""
        return {
            "AlarmCount": float(self.annunciations),
            "StartTime": self.start_us / 1e6,
            "MaximumActiveState": self.longest_active_s,
            "MaximumUnAck": self.longest_unacknowledged_s,
            "AverageAlarmRate": self.annunciations_per_10_min * 6.0,
            "MaximumAlarmRate": self.peak_in_10_min * 6.0,
            "MaximumReAlarmCount": float(self.most_reraised),
        }


def alert_kpis(log: AlertLog, start_us: int, stop_us: int) -> AlertKpis:
    """The measures of the time from ``start_us`` up to but without ``stop_us``.

    ``log`` may begin earlier, so that alerts that stood before are known; what it holds from ``stop_us`` on
    is left out.

    Raises
    ------
    ValueError : if the time is empty, or the log is not in the order of time.
    """
    if stop_us <= start_us:
        raise ValueError(f"the time from {start_us} to {stop_us} is empty")
    if len(log.time_us) and np.any(np.diff(log.time_us) < 0):
        raise ValueError("the log is not in the order of time")
    log = log.where(log.time_us < stop_us)
    shown = log.where(_among(log.kind, _ANNUNCIATED))
    inside = shown.where(shown.time_us >= start_us)
    span_us = stop_us - start_us
    flooded = floods(shown.time_us, stop_us)
    in_flood_us = np.maximum(flooded.stop_us - np.maximum(flooded.start_us, start_us), 0)
    during = flooded.stop_us > start_us
    active = standing_periods(log, stop_us)
    active_us = active.stop_us - active.start_us
    lasted = active.stop_us > start_us
    waits = unacknowledged_periods(log, stop_us)
    waited = waits.stop_us > start_us
    answered = waits.ended_by == Kind.ALERT_ACKNOWLEDGED
    answer_s = (waits.stop_us - waits.start_us)[answered & (waits.stop_us >= start_us)] / 1e6
    actors, counts = bad_actors(inside)
    priorities = np.bincount(inside.priority, minlength=len(PRIORITIES))
    total = len(inside.time_us)
    reraised = inside.alert[inside.kind == Kind.ALERT_RERAISED]
    return AlertKpis(
        start_us=start_us,
        stop_us=stop_us,
        annunciations=total,
        annunciations_per_10_min=total * TEN_MINUTES_US / span_us,
        peak_in_10_min=int(
            trailing_counts(shown.time_us, TEN_MINUTES_US)[shown.time_us >= start_us].max(initial=0)
        ),
        busy_hours_share=_busy_hours(inside.time_us, start_us, stop_us),
        floods=int(during.sum()),
        time_in_flood_share=int(in_flood_us.sum()) / span_us,
        worst_flood=int(flooded.annunciations[during].max(initial=0)),
        chattering=tuple(chattering(inside).tolist()),
        fleeting=fleeting(log, start_us, stop_us),
        stale=int(np.sum(lasted & (active_us > STALE_US))),
        top_10=tuple(zip(actors[:10].tolist(), counts[:10].tolist(), strict=True)),
        top_10_share=_share(int(counts[:10].sum()), total),
        by_priority={name: int(count) for name, count in zip(PRIORITIES, priorities.tolist(), strict=True)},
        critical_and_high_share=_share(int(priorities[:2].sum()), total),
        acknowledged=len(answer_s),
        time_to_acknowledge_s={
            f"p{q}": float(np.percentile(answer_s, q)) if len(answer_s) else float("nan")
            for q in (50, 90, 95, 99)
        },
        longest_active_s=float(active_us[lasted].max(initial=0)) / SECOND_US,
        longest_unacknowledged_s=float((waits.stop_us - waits.start_us)[waited].max(initial=0)) / SECOND_US,
        most_reraised=int(np.unique(reraised, return_counts=True)[1].max(initial=0)),
    )


def trailing_counts(time_us: Times, window_us: int) -> NDArray[np.int64]:
    """At each of the rising times, how many there are in the window that ends with it, equals included."""
    first = np.searchsorted(time_us, time_us - window_us, side="right")
    return np.searchsorted(time_us, time_us, side="right") - first


def floods(time_us: Times, stop_us: int) -> Floods:
    """The floods in rising times of annunciation; one that lasts at ``stop_us`` ends there.

    A flood starts with the annunciation that makes more than ``FLOOD_ABOVE`` in ten minutes, and ends as
    soon as fewer than ``FLOOD_BELOW`` are left in them.
    """
    above = np.flatnonzero(trailing_counts(time_us, TEN_MINUTES_US) > FLOOD_ABOVE)
    # ten minutes after each annunciation it drops out; what is left then came later
    drop_us = time_us + TEN_MINUTES_US
    after = np.searchsorted(time_us, drop_us, side="right") - np.searchsorted(time_us, time_us, side="right")
    calm_us = drop_us[after < FLOOD_BELOW]
    starts: list[int] = []
    stops: list[int] = []
    while len(above):
        start = int(time_us[above[0]])
        later = calm_us[np.searchsorted(calm_us, start, side="right") :]
        stop = min(int(later[0]), stop_us) if len(later) else stop_us
        starts.append(start)
        stops.append(stop)
        above = above[time_us[above] >= stop]
    start_us, end_us = np.array(starts, np.int64), np.array(stops, np.int64)
    first = np.searchsorted(time_us, start_us - TEN_MINUTES_US, side="right")
    return Floods(start_us, end_us, np.searchsorted(time_us, end_us, side="left") - first)


def chattering(shown: AlertLog) -> NDArray[np.int64]:
    """The alerts annunciated ``CHATTER_COUNT`` times or more in less than a minute, in rising order."""
    order = np.argsort(shown.alert, kind="stable")
    alert, time_us = shown.alert[order], shown.time_us[order]
    last = CHATTER_COUNT - 1
    if len(alert) <= last:
        return np.zeros(0, np.int64)
    close = (alert[last:] == alert[:-last]) & (time_us[last:] - time_us[:-last] < CHATTER_US)
    found: NDArray[np.int64] = np.unique(alert[last:][close])
    return found


def fleeting(log: AlertLog, start_us: int, stop_us: int) -> int:
    """How many annunciations from ``start_us`` on cleared within a minute and stayed away for one."""
    active = standing_periods(log, stop_us)
    short = (active.stop_us - active.start_us < FLEETING_US) & _among(active.ended_by, _CLEARED)
    again = np.zeros(len(short), np.bool_)
    again[:-1] = (active.alert[1:] == active.alert[:-1]) & (
        active.start_us[1:] - active.stop_us[:-1] < FLEETING_US
    )
    return int(np.sum(short & ~again & (active.start_us >= start_us)))


def bad_actors(shown: AlertLog) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Alerts by how often they were annunciated, most first, equal ones in rising order; and how often."""
    alert, counts = np.unique(shown.alert, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return alert[order], counts[order].astype(np.int64)


def standing_periods(log: AlertLog, stop_us: int) -> Periods:
    """When alerts stood with their condition: from annunciation until it cleared or was put aside."""
    return _periods(log, _ANNUNCIATED, (*_CLEARED, *_PUT_ASIDE), stop_us)


def unacknowledged_periods(log: AlertLog, stop_us: int) -> Periods:
    """When alerts asked for somebody: from the first annunciation until acknowledged or put aside."""
    return _periods(log, _ANNUNCIATED, (Kind.ALERT_ACKNOWLEDGED, *_PUT_ASIDE), stop_us)


def _periods(log: AlertLog, begins: tuple[Kind, ...], ends: tuple[Kind, ...], stop_us: int) -> Periods:
    """For each alert: from the first of ``begins`` to the first of ``ends`` after it, and so on."""
    log = log.where(_among(log.kind, (*begins, *ends)))
    order = np.argsort(log.alert, kind="stable")
    alert, time_us, kind = log.alert[order], log.time_us[order], log.kind[order]
    begin = _among(kind, begins)
    same = np.zeros(len(alert), np.bool_)
    same[1:] = alert[1:] == alert[:-1]
    was_begun = np.zeros(len(alert), np.bool_)
    was_begun[1:] = begin[:-1] & same[1:]
    start = np.flatnonzero(begin & ~was_begun)
    end = np.flatnonzero(~begin & was_begun)
    # a period's end is the next end, if that comes before the next period's start and is of the same alert
    next_end = np.searchsorted(end, start)
    at = np.append(end, len(alert))[next_end]
    begun_next = np.append(start, len(alert))[1 : len(start) + 1]
    ended = at < begun_next
    at = np.where(ended, at, 0)
    if not len(start):
        at = np.zeros(0, np.int64)
    return Periods(
        alert[start],
        time_us[start],
        np.where(ended, time_us[at] if len(time_us) else 0, stop_us).astype(np.int64),
        np.where(ended, kind[at] if len(kind) else 0, 0).astype(np.int16),
    )


def _busy_hours(time_us: Times, start_us: int, stop_us: int) -> float:
    """The share of hours, counted from ``start_us``, with more than ``BUSY_HOUR`` annunciations."""
    hours = -(-(stop_us - start_us) // HOUR_US)
    per_hour = np.unique((time_us - start_us) // HOUR_US, return_counts=True)[1]
    return int(np.sum(per_hour > BUSY_HOUR)) / hours


def _among(kind: NDArray[Any], kinds: tuple[Kind, ...]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.isin(kind, [int(each) for each in kinds])
    return found


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
