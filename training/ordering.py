# mypy: disallow-untyped-decorators=False
"""Compiled passes that bring lines of readings into the order in which history keeps them.

Lines come entry by entry, each nearly in time order for its device; history wants them by device, then time.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Masks = NDArray[np.uint64]


def by_device_and_time(
    device: NDArray[np.int32], event_us: NDArray[np.int64], devices: int
) -> NDArray[np.int64]:
    """Positions of the lines by device, then time; those equal in both keep their order.

    ``device`` (n,) is below ``devices``. Linear where the lines of each device come in time order, as most
    do.
    """
    order: NDArray[np.int64] = _by_device(device, devices)
    return order if _in_time(order, device, event_us) else np.lexsort((event_us, device)).astype(np.int64)


@njit(cache=True)
def _by_device(device: NDArray[np.int32], devices: int) -> NDArray[np.int64]:
    start = np.zeros(devices + 1, np.int64)
    for d in device:
        start[d + 1] += 1
    for d in range(devices):
        start[d + 1] += start[d]
    order = np.empty(len(device), np.int64)
    for i in range(len(device)):
        order[start[device[i]]] = i
        start[device[i]] += 1
    return order


@njit(cache=True)
def _in_time(order: NDArray[np.int64], device: NDArray[np.int32], event_us: NDArray[np.int64]) -> bool:
    for k in range(1, len(order)):
        i, j = order[k - 1], order[k]
        if device[i] == device[j] and event_us[j] < event_us[i]:
            return False
    return True


@njit(cache=True)
def without_repeats(
    order: NDArray[np.int64],
    device: NDArray[np.int32],
    event_us: NDArray[np.int64],
    stored: Masks,
    late: Masks,
    already: Masks,
) -> Masks:
    """``stored`` without the late channels that are there already: in ``already``, or in an earlier line of
    the same device and time.
    """
    kept = stored.copy()
    seen = np.uint64(0)
    for k in range(len(order)):
        i = order[k]
        if k == 0 or device[order[k - 1]] != device[i] or event_us[order[k - 1]] != event_us[i]:
            seen = np.uint64(0)
        kept[i] &= ~(late[i] & (seen | already[i]))
        seen |= kept[i]
    return kept


@njit(cache=True)
def columns_of(values: NDArray[Any], order: NDArray[np.int64], mask: Masks) -> NDArray[Any]:
    """(channels, n) from (n, channels), in ``order``; NaN where the channel's bit of ``mask`` is off."""
    n, channels = len(order), values.shape[1]
    out = np.empty((channels, n), values.dtype)
    for k in range(n):
        i = order[k]
        for c in range(channels):
            present = mask[i] & (np.uint64(1) << np.uint64(c))
            out[c, k] = values[i, c] if present else np.nan
    return out


@njit(cache=True)
def picked(values: NDArray[Any], mask: Masks) -> NDArray[Any]:
    """The values whose channel's bit is on in ``mask``, line by line."""
    total = 0
    for i in range(len(mask)):
        for c in range(values.shape[1]):
            if mask[i] & (np.uint64(1) << np.uint64(c)):
                total += 1
    out = np.empty(total, values.dtype)
    k = 0
    for i in range(len(mask)):
        for c in range(values.shape[1]):
            if mask[i] & (np.uint64(1) << np.uint64(c)):
                out[k] = values[i, c]
                k += 1
    return out
