"""How the alerts treat the people who answer them: the KPIs of ISA-18.2 over a stretch of time.

Source: ANSI/ISA-18.2-2016 clause 16 and EEMUA 191, as restated by public sources: about 6 alerts an hour are
acceptable and 12 the most that can be managed by one operator; a flood begins above 10 in 10 minutes and ends
below 5; an alert chatters when it comes three times in a minute; one that stands for a day is stale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twins.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from twins.devices import PRIORITIES

FLOOD_WINDOW_US: Final = 10 * MINUTE_US
FLOOD_ABOVE: Final = 10
FLOOD_ENDS_BELOW: Final = 5
CHATTER_TIMES: Final = 3
CHATTER_WITHIN_US: Final = MINUTE_US
STALE_AFTER_US: Final = DAY_US
ACCEPTABLE_PER_HOUR: Final = 6
MANAGEABLE_PER_HOUR: Final = 12

_BAD_ACTORS: Final = 10
_FLOODS_TOLD: Final = 20
_CHATTER_TOLD: Final = 20


class AlertKey(NamedTuple):
    """What raises alerts: one rule of one device."""

    device_id: str
    type: str
    rule: str


@dataclass(frozen=True, slots=True, eq=False)
class AlertLog:
    """What happened to alerts, in the order in which it did.

    Attributes
    ----------
    raised_us : (n,) when each alert was raised, ascending
    key : (n,) what raised it, as an index of ``keys``
    priority : (n,) index in PRIORITIES
    acknowledged_us : (n,) when its occurrence was acknowledged; -1: not yet
    keys : what raises alerts
    standing_since_us : (m,) since when each alert that now stands does
    """

    raised_us: NDArray[np.int64]
    key: NDArray[np.int64]
    priority: NDArray[np.int64]
    acknowledged_us: NDArray[np.int64]
    keys: Sequence[AlertKey]
    standing_since_us: NDArray[np.int64]


def alert_kpis(log: AlertLog, start_us: int, end_us: int) -> dict[str, Any]:
    """The KPIs of alerts raised in ``start_us <= raised < end_us``. Shares are 0 to 1, None of nothing.

    ``flooded_since_us`` is when the flood began that still is on at ``end_us``; None: there is none.
    """
    hours = (end_us - start_us) / HOUR_US
    n = len(log.raised_us)
    windows = np.bincount((log.raised_us - start_us) // FLOOD_WINDOW_US, minlength=_windows(start_us, end_us))
    floods = _floods(log.raised_us, end_us)
    in_flood_us = sum(stop - start for start, stop, _ in floods)
    taken_us = (log.acknowledged_us - log.raised_us)[log.acknowledged_us >= 0]
    by_key = np.bincount(log.key, minlength=len(log.keys))
    worst = np.argsort(-by_key, kind="stable")[:_BAD_ACTORS]
    return {
        "hours": hours,
        "raised": n,
        "per_hour": n / hours,
        "acceptable_per_hour": ACCEPTABLE_PER_HOUR,
        "manageable_per_hour": MANAGEABLE_PER_HOUR,
        "most_in_10_min": int(windows.max(initial=0)),
        "share_of_10_min_above_10": float((windows > FLOOD_ABOVE).mean()),
        "by_priority": {name: int((log.priority == level).sum()) for level, name in enumerate(PRIORITIES)},
        "floods": len(floods),
        "flooded_since_us": next((start for start, stop, _ in floods if stop == end_us), None),
        "share_of_time_in_flood": min(1.0, in_flood_us / (end_us - start_us)),
        "worst_floods": [
            {"start_us": start, "end_us": stop, "alerts": count}
            for start, stop, count in sorted(floods, key=lambda flood: -flood[2])[:_FLOODS_TOLD]
        ],
        "chattering": [
            {**log.keys[key]._asdict(), "alerts": int(by_key[key])}
            for key in _chattering(log)[:_CHATTER_TOLD]
        ],
        "stale": int((end_us - log.standing_since_us > STALE_AFTER_US).sum()),
        "bad_actors": [
            {**log.keys[key]._asdict(), "alerts": int(by_key[key]), "share": float(by_key[key] / n)}
            for key in worst.tolist()
            if by_key[key]
        ],
        "share_of_ten_worst": float(by_key[worst].sum() / n) if n else None,
        "acknowledged": len(taken_us),
        "median_s_to_acknowledge": float(np.median(taken_us) / SECOND_US) if len(taken_us) else None,
        "p90_s_to_acknowledge": float(np.quantile(taken_us, 0.9) / SECOND_US) if len(taken_us) else None,
    }


def _windows(start_us: int, end_us: int) -> int:
    return max(1, -(-(end_us - start_us) // FLOOD_WINDOW_US))


def _floods(raised_us: NDArray[np.int64], end_us: int) -> list[tuple[int, int, int]]:
    """Start, end and number of alerts of each flood; the window slides, it is not cut into a grid."""
    floods: list[tuple[int, int, int]] = []
    # an alert enters the window when it is raised and leaves it ten minutes later
    moments = np.concatenate([raised_us, raised_us + FLOOD_WINDOW_US])
    steps = np.concatenate([np.ones(len(raised_us), np.int64), -np.ones(len(raised_us), np.int64)])
    order = np.lexsort((steps, moments))
    in_window = np.cumsum(steps[order])
    start: int | None = None
    for at, inside in zip(moments[order].tolist(), in_window.tolist(), strict=True):
        if start is None and inside > FLOOD_ABOVE:
            start = at
        elif start is not None and inside < FLOOD_ENDS_BELOW:
            floods.append((start, min(at, end_us), _between(raised_us, start, at)))
            start = None
    if start is not None:
        floods.append((start, end_us, _between(raised_us, start, end_us)))
    return floods


def _between(raised_us: NDArray[np.int64], start: int, stop: int) -> int:
    """Alerts of a flood, those that began it included."""
    first, last = np.searchsorted(raised_us, [start - FLOOD_WINDOW_US, stop], side="right")
    return int(last - first)


def _chattering(log: AlertLog) -> list[int]:
    """The keys that came three times in a minute, the most frequent first."""
    order = np.lexsort((log.raised_us, log.key))
    key, at = log.key[order], log.raised_us[order]
    gap = CHATTER_TIMES - 1
    if len(key) <= gap:
        return []
    quick = (key[gap:] == key[:-gap]) & (at[gap:] - at[:-gap] <= CHATTER_WITHIN_US)
    found = np.unique(key[gap:][quick])
    counts = np.bincount(log.key, minlength=len(log.keys))[found]
    ranked: list[int] = found[np.argsort(-counts, kind="stable")].tolist()
    return ranked
