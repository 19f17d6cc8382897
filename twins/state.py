"""What a shard knows of its devices: one array per quantity, one row per device. No arithmetic.

The arrays come in sections (NamedTuples of arrays, the row first), which is what compiled functions take. A section is
born blank; growing copies its rows into a larger blank one, so that every value a new device starts with stands in one
place. Snapshot and restore work on any section alike.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twins import alert_state
from twins.alert_state import AlertState, blank_alerts
from twins.devices import DeviceType
from twins.packing import Arrays
from twins.prognosis import PrognosisState, blank_prognoses
from twins.signals import SignalState, blank_signals
from twins.trends import TrendState, blank_trends

NEVER_US: Final = np.iinfo(np.int64).min
"""The time of what has not happened yet."""

LAG_NEVER: Final = (1 << 48) - 1
"""The lag of a channel that never brought a reading. Others are at most one less: 8.9 years."""

_ENTRIES: Final = "alerts.entries"

RETIRED: Final = 1
STALE: Final = 2
PARENT_STALE: Final = 4
PARENT_ALERT: Final = 8
PARENT_OUT_OF_SERVICE: Final = 16
OUT_OF_SERVICE: Final = 32
HAS_CHILDREN: Final = 64
IMPORTING: Final = 128
"""The past of the device is being told: its time follows its own readings, and nothing that happens to it is news."""


class CoreState(NamedTuple):
    """What was heard of each device, before anything is made of it."""

    last_value: NDArray[Any]  # (n, channels) newest scored value, in the type's dtype; NaN before the first
    lag_low: NDArray[
        np.uint32
    ]  # (n, channels) how far a channel's newest reading, scored or BAD, is behind the
    lag_high: NDArray[np.uint16]  # (n, channels) device's newest, µs in 48 bits; LAG_NEVER before the first
    bad: NDArray[np.uint64]  # (n,) channels whose newest reading was BAD
    event_us: NDArray[np.int64]  # (n,) newest event time of the device
    heard_us: NDArray[np.int64]  # (n,) shard time at which the device last brought news
    interval_us: NDArray[np.int64]  # (n,) nominal interval; 0 until it is known
    gaps: NDArray[np.uint16]  # (n,) gaps the interval was learned from; 65535: declared
    status: NDArray[np.uint8]  # (n,) flags, see above
    counts: NDArray[np.uint32]  # (n, 6) lines by Fate
    life_cycle: NDArray[np.int32]  # (n,) how often maintenance made the device anew
    version: NDArray[np.uint32]  # (n,) commands that changed the device


class ShardState(NamedTuple):
    """All sections of one shard. ``len`` of any array is the capacity, not the number of devices."""

    core: CoreState
    signals: SignalState
    alerts: AlertState
    trends: TrendState
    prognoses: PrognosisState

    @property
    def capacity(self) -> int:
        return len(self.core.status)

    @property
    def nbytes(self) -> int:
        """Bytes in use, unused rows included."""
        return (
            sum(array.nbytes for array in (*self.core, *self.signals, *self.trends, *self.prognoses))
            + self.alerts.nbytes
        )


def blank_core(capacity: int, device_type: DeviceType) -> CoreState:
    """Devices of which nothing has been heard."""
    channels = len(device_type.channels)
    return CoreState(
        last_value=np.full((capacity, channels), np.nan, device_type.dtype),
        lag_low=np.full((capacity, channels), LAG_NEVER & 0xFFFFFFFF, np.uint32),
        lag_high=np.full((capacity, channels), LAG_NEVER >> 32, np.uint16),
        bad=np.zeros(capacity, np.uint64),
        event_us=np.full(capacity, NEVER_US, np.int64),
        heard_us=np.full(capacity, NEVER_US, np.int64),
        interval_us=np.zeros(capacity, np.int64),
        gaps=np.zeros(capacity, np.uint16),
        status=np.zeros(capacity, np.uint8),
        counts=np.zeros((capacity, 6), np.uint32),
        life_cycle=np.zeros(capacity, np.int32),
        version=np.zeros(capacity, np.uint32),
    )


def blank_state(capacity: int, device_type: DeviceType) -> ShardState:
    """A shard's state with room for ``capacity`` devices, all as at birth."""
    return ShardState(
        blank_core(capacity, device_type),
        blank_signals(capacity, device_type),
        blank_alerts(capacity, device_type),
        blank_trends(capacity, device_type),
        blank_prognoses(capacity),
    )


def grown(state: ShardState, capacity: int, rows: int, device_type: DeviceType) -> ShardState:
    """The same first ``rows`` devices with room for ``capacity``."""
    larger = blank_state(capacity, device_type)
    sources = dict(_rows(state))
    for key, target in _rows(larger):
        target[:rows] = sources[key][:rows]
    alert_state.keep(larger.alerts, alert_state.kept(state.alerts, 0, rows))
    return larger


def newest_us(core: CoreState, row: int) -> NDArray[np.int64]:
    """(channels,) event time of each channel's newest reading; NEVER_US before the first."""
    lag = (core.lag_high[row].astype(np.int64) << 32) | core.lag_low[row]
    return np.where(lag == LAG_NEVER, NEVER_US, core.event_us[row] - lag)


def lags(
    last_us: NDArray[np.int64], event_us: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    """``lag_low`` and ``lag_high`` of devices, from their channels' newest event times (n, channels) and their own."""
    never = last_us == NEVER_US
    lag = np.minimum(event_us[:, None] - np.where(never, event_us[:, None], last_us), LAG_NEVER - 1)
    lag = np.where(never, LAG_NEVER, lag)
    return (lag & 0xFFFFFFFF).astype(np.uint32), (lag >> 32).astype(np.uint16)


def to_arrays(state: ShardState, rows: int) -> Arrays:
    """Views of the first ``rows`` of every array, under ``section.name``, and the alerts that are not at rest."""
    arrays: Arrays = {key: array[:rows] for key, array in _rows(state)}
    arrays[_ENTRIES] = alert_state.kept(state.alerts, 0, rows)
    return arrays


def chosen(arrays: Arrays, only: NDArray[np.int64]) -> Arrays:
    """Of what ``to_arrays`` gave these rows alone, in their order."""
    return {
        key: alert_state.chosen(array, only) if key == _ENTRIES else array[only]
        for key, array in arrays.items()
    }


def from_arrays(arrays: Arrays, capacity: int, rows: int, device_type: DeviceType) -> ShardState:
    """The state that ``to_arrays`` gave, with room for ``capacity``; it shares nothing with ``arrays``.

    Raises
    ------
    ValueError : if an array is missing or has another shape or dtype than this version of the shard keeps.
    """
    state = blank_state(capacity, device_type)
    for key, target in _rows(state):
        source = _checked(arrays, key, target.dtype, target.shape[1:])
        if len(source) != rows:
            raise ValueError(f"array {key!r} has {len(source)} rows, the roster {rows}")
        target[:rows] = source
    alert_state.keep(state.alerts, _checked(arrays, _ENTRIES, alert_state.KEPT, ()))
    return state


def _checked(arrays: Arrays, key: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    source = arrays.get(key)
    if source is None:
        raise ValueError(f"array {key!r} is missing")
    if source.dtype != dtype or source.shape[1:] != shape:
        raise ValueError(f"array {key!r} is {source.dtype}{source.shape}, this version keeps {dtype}{shape}")
    return source


def _rows(state: ShardState) -> Iterator[tuple[str, NDArray[Any]]]:
    """Every array of one row per device that says something by itself, under ``section.name``."""
    sections: tuple[tuple[str, Any], ...] = tuple(zip(state._fields, state, strict=True))
    for section_name, section in sections:
        for name, array in zip(section._fields, section, strict=True):
            if section is not state.alerts or name not in alert_state.PLACES:
                yield f"{section_name}.{name}", array
