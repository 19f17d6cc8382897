"""Snapshots of earlier versions of a shard, as the present one keeps them: old arrays in, new arrays out.

======= =====================================================================================================
version what was other
======= =====================================================================================================
1       no ceilings, no HABIT: devices are taken for grown up, without an excursion on record
2       word, stamp and timer of every (device, rule), those at rest too; event times of every channel
3       nothing was asked of devices: no ``downlinks`` beside the arrays
4       no trend: it begins with the next reading, and the machine's age with the youth that was on record
5       no prognoses: they come with the next scoring
6       nobody compared devices with healthy ones: ``like_healthy`` comes with the next scoring
======= =====================================================================================================
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twins.alert_state import FAR_US, FLAG_BITS, FLAGS, KEPT, PENDING
from twins.anomalies import YOUTH_DAYS
from twins.clock import DAY_US
from twins.devices import DeviceType
from twins.packing import Arrays
from twins.prognosis import blank_prognoses
from twins.rules import compile_rules
from twins.state import NEVER_US, lags
from twins.traces import HABIT, WANDER_USUAL
from twins.trends import SPANS

_MOST: Final = 0xFFFF
_MS: Final = 1000
_MASK: Final = 0xFFFFFFFF


def migrated(version: int, arrays: Arrays, device_type: DeviceType) -> Arrays:
    """The arrays of a snapshot of ``version``, by the names of ``state.to_arrays``, as they are kept today."""
    if version < 2:
        arrays = _with_ceilings(arrays)
    if version < 3:
        arrays = _with_entries(arrays, device_type)
    if version < 5:
        arrays = _with_trend(arrays)
    if version < 6:
        blank = blank_prognoses(len(arrays["core.status"]))
        arrays = {**arrays, **{f"prognoses.{name}": each for name, each in blank._asdict().items()}}
    if version < 7:
        unknown = np.full(len(arrays["core.status"]), np.nan, np.float32)
        arrays = {**arrays, "prognoses.like_healthy": unknown}
    return arrays


def _with_ceilings(arrays: Arrays) -> Arrays:
    seen_us, marks = arrays["signals.seen_us"], arrays["signals.marks"]
    n = len(seen_us)
    days = np.where(seen_us == NEVER_US, 0, seen_us // DAY_US) - YOUTH_DAYS
    return {
        **arrays,
        "signals.marks": np.insert(marks, HABIT, marks[:, WANDER_USUAL], axis=1),
        "signals.calm": np.full(n, 65535, np.uint16),
        "signals.steady": np.full(n, 255, np.uint8),
        "signals.ceiling": np.zeros((n, 2), np.float32),
        "signals.ceiling_day": np.zeros((n, 2), np.uint16),
        "signals.first_day": (days & _MOST).astype(np.uint16),
    }


def _with_entries(arrays: Arrays, device_type: DeviceType) -> Arrays:
    was = dict(arrays)
    word, stamp_s, timer_ms = (was.pop(f"alerts.{name}") for name in ("word", "stamp_s", "timer_ms"))
    due_us, clock_us = was.pop("alerts.due_us"), was.pop("alerts.clock_us")
    low, high = lags(was.pop("core.last_us"), was["core.event_us"])
    occurrence = word >> FLAG_BITS
    row, rule = np.nonzero((word & FLAGS > 0) | (occurrence > _MOST))
    by_clock = np.zeros(word.shape[1], np.bool_)
    by_clock[compile_rules(device_type).silences["rule"]] = True
    entries = np.zeros(len(row), KEPT)
    entries["row"], entries["rule"] = row, rule
    entries["word"], entries["stamp_s"] = word[row, rule], stamp_s[row, rule]
    pending = entries["word"] & PENDING > 0
    from_us = np.where(by_clock[rule], clock_us[row], due_us[row])
    entries["due_us"] = np.where(pending, _unwrapped(timer_ms[row, rule], from_us), FAR_US)
    entries["stamp_s"][entries["word"] & FLAGS == 0] = 0
    return {
        **was,
        "core.lag_low": low,
        "core.lag_high": high,
        "alerts.occurrence": np.minimum(occurrence, _MOST).astype(np.uint16),
        "alerts.entries": entries,
    }


def _with_trend(arrays: Arrays) -> Arrays:
    seen_us, mean = arrays["signals.seen_us"], arrays["signals.mean"]
    days = np.where(seen_us == NEVER_US, 0, seen_us // DAY_US)
    youth = days - ((days - arrays["signals.first_day"].astype(np.int64)) & _MOST)
    return {
        **arrays,
        "trends.trend": np.full((len(mean), len(SPANS), *mean.shape[1:]), np.nan, np.float32),
        "trends.share": np.zeros((len(mean), len(SPANS), mean.shape[1]), np.float32),
        "trends.regime": arrays["signals.regime"],
        "trends.since_us": np.where(seen_us == NEVER_US, NEVER_US, youth * DAY_US),
    }


def _unwrapped(timer_ms: NDArray[Any], from_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """The time, µs, of a timer kept in ms modulo 2³² that ends at ``from_us`` or up to 2³² ms later (RFC 1982)."""
    from_ms = from_us // _MS
    ends_ms: NDArray[np.int64] = from_ms + ((timer_ms.astype(np.int64) - from_ms) & _MASK)
    return np.where(from_us == FAR_US, FAR_US, ends_ms * _MS)
