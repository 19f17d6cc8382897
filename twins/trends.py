"""Where each channel has been of late, in every operating regime: what forecasts are made from.

A *trend* is an exponential mean in channel units, one for each regime, span and feature; a *share* says how much of that
span's weight lies in which regime. No baseline is in them, so devices can be compared with each other, by whatever norm is
learned from all of them (``training/survival.py``). Two spans tell a change from a level.

Trends are moved in a pass of their own, after the one that judges and scores (``kernels.py``): they want no more than what
became of each line, and a kernel with fewer arrays is the faster one. Spans count a device's own readings; a device has a
regime of its own here, in which a condition that a line lacks stays as it was.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twins.compiling import kernel
from twins.devices import DeviceType
from twins.readings import MAX_CHANNELS, Fate
from twins.traces import MAX_REGIMES, SignalParams, signal_params

SPANS: Final = (20.0, 80.0)
"""Readings; the short one and the long one."""

NEVER_US: Final = np.iinfo(np.int64).min

_SCORED: Final = int(Fate.SCORED)
_FAINT: Final = 1.0e-12  # a share below this is none
_ONE: Final = np.uint64(1)


class TrendState(NamedTuple):
    """Of each device; S spans, R regimes, F features."""

    trend: NDArray[np.float32]  # (n, S, R, F) channel units; NaN before the first reading
    share: NDArray[np.float32]  # (n, S, R) 0 to 1 together; the less, the fewer readings there were
    regime: NDArray[np.uint8]  # (n,)
    since_us: NDArray[np.int64]  # (n,) event time of this machine's first scored line; INT64_MIN before


class TrendParams(NamedTuple):
    """What is the same for all devices of a type."""

    channel: NDArray[np.int64]  # (F,) the channel behind each feature
    condition: NDArray[np.int64]  # (conditions,) as in ``SignalParams``
    edges: NDArray[np.float64]
    stride: NDArray[np.int64]
    weight: NDArray[np.float64]  # (S,) of a new reading


def trend_params(of: SignalParams) -> TrendParams:
    """The parameters of a device type."""
    return TrendParams(of.channel, of.condition, of.edges, of.stride, 2.0 / (np.array(SPANS) + 1.0))


def blank_trends(capacity: int, device_type: DeviceType) -> TrendState:
    """Devices that have not sent a reading."""
    params = signal_params(device_type)
    n, spans, regimes = capacity, len(SPANS), int(params.stride[-1])
    return TrendState(
        trend=np.full((n, spans, regimes, len(params.channel)), np.nan, np.float32),
        share=np.zeros((n, spans, regimes), np.float32),
        regime=np.zeros(n, np.uint8),
        since_us=np.full(n, NEVER_US, np.int64),
    )


def forget(s: TrendState, row: int) -> None:
    """It is another machine now."""
    s.trend[row] = np.nan
    s.share[row] = 0.0
    s.since_us[row] = NEVER_US


def settle(s: TrendState, row: int) -> None:
    """The machine was put right: what it did of late counts no more."""
    s.share[row] = 0.0


@kernel
def lean(
    s: TrendState,
    p: TrendParams,
    rows: NDArray[np.int32],
    event_us: NDArray[np.int64],
    values: NDArray[Any],
    present: NDArray[np.uint64],
    fate: NDArray[np.uint8],
    unscored: NDArray[np.uint64],
) -> None:
    """Let the trends follow some lines.

    Parameters
    ----------
    rows, event_us, values, present : the lines, as the scoring kernel took them
    fate : (n,) what became of each; only lines that were SCORED count
    unscored : (n,) channels that are present and were not scored: BAD, late, duplicate
    """
    for k in range(len(rows)):
        if fate[k] != _SCORED:
            continue
        r = rows[k]
        scored = present[k] & ~unscored[k]
        if s.since_us[r] == NEVER_US:
            s.since_us[r] = event_us[k]
        old = int(s.regime[r])
        new = 0
        for c in range(len(p.condition)):
            channel = p.condition[c]
            if (scored >> np.uint64(channel)) & _ONE:
                b = 0
                for e in range(p.edges.shape[1]):
                    if values[k, channel] >= p.edges[c, e]:
                        b += 1
            else:
                b = (old % p.stride[c + 1]) // p.stride[c]
            new += b * p.stride[c]
        s.regime[r] = new
        g = new & (MAX_REGIMES - 1)
        for i in range(len(p.weight)):
            for h in range(s.share.shape[2]):
                left = np.float64(s.share[r, i, h]) * (1.0 - p.weight[i])
                s.share[r, i, h] = left if left > _FAINT else 0.0
            weight = np.float64(s.share[r, i, g]) + p.weight[i]
            s.share[r, i, g] = weight
            step = p.weight[i] / weight
            for j in range(len(p.channel)):
                channel = int(p.channel[j]) & (MAX_CHANNELS - 1)
                if (scored >> np.uint64(channel)) & _ONE:
                    value = np.float64(values[k, channel])
                    trend = np.float64(s.trend[r, i, g, j])
                    s.trend[r, i, g, j] = trend + step * (value - trend) if trend == trend else value
