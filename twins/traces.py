"""What analytics keep of each device and are told about its type: arrays and their meaning, no arithmetic.

A *feature* is a gauge channel that is not a condition; counters, states and flags have no level to be far
from. R is the number of operating regimes, F of features, P = F (F + 1) / 2. Rows come first; a row is a
device.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twins.devices import DeviceType
from twins.readings import MAX_CHANNELS

MAX_REGIMES: Final = 32
"""The most operating regimes kept apart; from the first condition that would make more, they are left out."""

LANES: Final = MAX_CHANNELS + 8
"""Numbers in one row of scratch; not a power of two, so that rows do not compete for the same lines of cache."""
LANE_ROWS: Final = 20

FAST_SPAN: Final = 20.0
REFERENCE_SPAN: Final = 600.0
WANDER_SPAN: Final = 2500.0
TAIL_SPAN: Final = 2000.0
PEAK_SPAN: Final = 300.0
"""Spans of the exponential means, in readings; that of the peak in nominal intervals."""

FAST, REFERENCE, WANDER, LEVEL, NOISE = range(5)
"""Layers of ``SignalState.track``, in standard deviations of the baseline or their squares.

``FAST`` is a mean over span 20 that no single reading moves much, ``LEVEL`` the same without that protection,
``REFERENCE`` where the feature has been of late, ``WANDER`` the mean square of ``FAST - REFERENCE``,
``NOISE`` the mean square of a reading's distance from ``LEVEL``. While the baseline is learned, ``NOISE`` and
``WANDER`` are plain means and ``REFERENCE`` follows the noise.
"""

GAP, GAP_USUAL, NOISE_USUAL, WANDER_USUAL, HABIT, QUIET, CROSSING, PERIOD, HITS, SPIKE, RISE = range(11)
"""Layers of ``SignalState.marks``.

Lines since the channel was last heard, and the most of them in the baseline; codes (``SignalParams.decode``)
of the baseline's mean noise, its wander, how far FAST ordinarily stands off it (as a variance; at least
its wander), and its least noise as a share of the mean; readings since the last
upward crossing (bit 7: now above), the period before it, how often periods agreed; readings left of a spike;
readings that FAST has been off the baseline (255: it jumped there).
"""

STEADY, UNSTEADY = range(2)
"""Of ``SignalState.ceiling``: long in one operating regime, or just come from another."""

QUANTILE, EXCESS, SCATTER = range(3)
"""Of each statistic in ``SignalState.tail``: running quantile, mean excess over it, mean distance to it."""

_STUCK_ON: Final = 0.01  # times the square of the least share of noise in the baseline
_STUCK_LEAST: Final = 1.0e-11  # a share of noise that float32 can still tell from none


class SignalParams(NamedTuple):
    """What is the same for all devices of a type. ``room`` is scratch: one thread at a time."""

    channel: NDArray[np.int64]  # (F,) the channel behind each feature
    resolution: NDArray[np.float64]  # (F,) channel units
    condition: NDArray[np.int64]  # (conditions,) channels that tell regimes apart
    edges: NDArray[np.float64]  # (conditions, most edges) ascending, padded with inf
    stride: NDArray[np.int64]  # (conditions + 1,) of the regime's number; the last is R
    baseline: int  # readings that make a baseline
    known: int  # readings after which a regime's mean and spread are used
    warm: int  # readings after which novelty is told, at first against the unfinished baseline
    fast: float  # weight of a new reading in FAST, LEVEL and NOISE
    reference: float  # weight of an ordinary reading in REFERENCE
    wander: float
    tail: float
    clip: float  # standard deviations from REFERENCE beyond which a reading moves FAST no more
    doubt: float  # scale of the Cauchy weights of REFERENCE, in square roots of WANDER
    shrink: float  # share of the unit matrix in the correlation matrix
    on_at: float  # T² that starts an anomaly where it stays above for ``confirm`` lines
    clear_at: float  # T² that starts one at once
    off_at: float  # T² that ends it
    confirm: int
    decode: NDArray[np.float64]  # (256,) the variances that the codes in ``marks`` stand for
    root: NDArray[np.float64]  # (256,) their square roots
    stuck: NDArray[np.float64]  # (256,) the share of noise that is stuck, by the code of QUIET; 0: never
    keep: float  # share of the novelty's peak kept over one interval
    room: NDArray[np.float64]  # (2, F)
    lanes: NDArray[np.float64]  # (LANE_ROWS * LANES,) the quantities of one line, see lanes.py
    look: NDArray[np.int64]  # (LANES,) what asks to be looked at
    square: NDArray[
        np.float64
    ]  # (F, F) more room: compiled code allocates nothing, so it can do without counting references


class SignalState(NamedTuple):
    """What analytics know of each device."""

    health: NDArray[np.float32]  # (n,) 0 to 100; NaN until the baseline stands
    observed: NDArray[np.float32]  # (n,) share of the features that health can presently see, 0 to 1
    anomaly_score: NDArray[np.float32]  # (n,) novelty, 0 to 1; 0 until ``warm`` readings are known
    anomalous: NDArray[np.uint8]  # (n,) 1 while far from what the device usually does
    streak: NDArray[
        np.uint8
    ]  # (n,) lines in a row that say an anomaly starts; while one lasts the bar it took, coded
    calm: NDArray[np.uint16]  # (n,) lines since an anomaly ended, at most 65535
    steady: NDArray[np.uint8]  # (n,) lines since the operating regime changed, at most 255
    ceiling: NDArray[np.float32]  # (n, 2) what excursions reached, in multiples of ``on_at``; 0: none
    ceiling_day: NDArray[np.uint16]  # (n, 2) when; days since the epoch, modulo 65536
    first_day: NDArray[np.uint16]  # (n,) of its youth; days as above
    patterns: NDArray[np.uint8]  # (n, channels) bit i: events.PATTERNS[i] is present
    regime: NDArray[np.uint8]  # (n,)
    learned: NDArray[np.uint8]  # (n,) 1: the baseline stands
    readings: NDArray[np.uint32]  # (n,) lines taken since learning began
    disturbed: NDArray[np.uint16]  # (n,) lines learned from while a feature was wholly off
    seen_us: NDArray[np.int64]  # (n,) event time of the newest line; INT64_MIN before
    mean: NDArray[np.float32]  # (n, R, F) channel units
    spread: NDArray[np.float32]  # (n, R, F) standard deviation, channel units
    counted: NDArray[np.uint16]  # (n, R, F) readings behind them, at most 65535
    bond: NDArray[
        np.float32
    ]  # (n, P) while learning mean products of features, then their inverse correlations
    track: NDArray[np.float32]  # (n, 5, F)
    marks: NDArray[np.uint8]  # (n, 11, F)
    tail: NDArray[np.float32]  # (n, 2, 3) of the innovation and of T²
    peak: NDArray[np.float32]  # (n,) what novelty has to exceed to count in full


def feature_channels(device_type: DeviceType) -> list[int]:
    """The channels that are features, by index, in the order of the type."""
    return [
        i
        for i, channel in enumerate(device_type.channels)
        if channel.kind == "gauge" and not channel.condition
    ]


def signal_params(device_type: DeviceType) -> SignalParams:
    """The parameters of a device type. One set of defaults serves every type."""
    features = feature_channels(device_type)
    used, strides = [], [1]
    for condition in device_type.conditions:
        if strides[-1] * (len(condition.edges) + 1) > MAX_REGIMES:
            break
        used.append(condition)
        strides.append(strides[-1] * (len(condition.edges) + 1))
    edges = np.full((len(used), max((len(c.edges) for c in used), default=0)), np.inf)
    for row, condition in zip(edges, used, strict=True):
        row[: len(condition.edges)] = sorted(condition.edges)
    decode = np.exp2((np.arange(256) - 128) / 4.0)
    stuck = _STUCK_ON * decode * decode
    stuck[0] = 0.0
    return SignalParams(
        channel=np.array(features, np.int64),
        resolution=np.array([device_type.channels[i].resolution for i in features], np.float64),
        condition=np.array([device_type.channel_index(c.channel) for c in used], np.int64),
        edges=edges,
        stride=np.array(strides, np.int64),
        baseline=device_type.baseline_readings,
        known=min(max(device_type.baseline_readings // (2 * strides[-1]), 5), 40),
        warm=min(max(device_type.baseline_readings // 4, 32), 100),
        fast=2.0 / (FAST_SPAN + 1.0),
        reference=1.0 / REFERENCE_SPAN,
        wander=1.0 / WANDER_SPAN,
        tail=1.0 / TAIL_SPAN,
        clip=4.0,
        doubt=2.0,
        shrink=0.2,
        on_at=chi_square_at(3.25, len(features)),
        clear_at=chi_square_at(6.0, len(features)),
        off_at=chi_square_at(0.7, len(features)),
        confirm=10,
        decode=decode,
        root=np.sqrt(decode),
        stuck=np.where(stuck > _STUCK_LEAST, stuck, 0.0),
        keep=1.0 - 1.0 / PEAK_SPAN,
        room=np.zeros((2, len(features))),
        lanes=np.ones(LANE_ROWS * LANES),
        look=np.zeros(LANES, np.int64),
        square=np.zeros((len(features), len(features))),
    )


def blank_signals(capacity: int, device_type: DeviceType) -> SignalState:
    """Devices that have not sent a reading."""
    p = signal_params(device_type)
    n, regimes, features = capacity, int(p.stride[-1]), len(p.channel)
    return SignalState(
        health=np.full(n, np.nan, np.float32),
        observed=np.zeros(n, np.float32),
        anomaly_score=np.zeros(n, np.float32),
        anomalous=np.zeros(n, np.uint8),
        streak=np.zeros(n, np.uint8),
        calm=np.full(n, 65535, np.uint16),
        steady=np.full(n, 255, np.uint8),
        ceiling=np.zeros((n, 2), np.float32),
        ceiling_day=np.zeros((n, 2), np.uint16),
        first_day=np.zeros(n, np.uint16),
        patterns=np.zeros((n, len(device_type.channels)), np.uint8),
        regime=np.zeros(n, np.uint8),
        learned=np.zeros(n, np.uint8),
        readings=np.zeros(n, np.uint32),
        disturbed=np.zeros(n, np.uint16),
        seen_us=np.full(n, np.iinfo(np.int64).min, np.int64),
        mean=np.zeros((n, regimes, features), np.float32),
        spread=np.zeros((n, regimes, features), np.float32),
        counted=np.zeros((n, regimes, features), np.uint16),
        bond=np.zeros((n, features * (features + 1) // 2), np.float32),
        track=np.zeros((n, 5, features), np.float32),
        marks=np.zeros((n, 11, features), np.uint8),
        tail=np.zeros((n, 2, 3), np.float32),
        peak=np.zeros(n, np.float32),
    )


def chi_square_at(z: float, dof: int) -> float:
    """The chi-square value as rare as ``z`` is under a normal law (Wilson and Hilferty 1931)."""
    k = max(dof, 1)
    return float(k * (1.0 - 2.0 / (9.0 * k) + z * math.sqrt(2.0 / (9.0 * k))) ** 3)
