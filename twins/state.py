"""What a shard knows of its devices: one array per quantity, one row per device. No arithmetic.

The arrays come in sections (NamedTuples of arrays, the row first), which is what compiled functions take. A section is
born blank; growing copies its rows into a larger blank one, so that every value a new device starts with stands in one
place. Snapshot and restore work on any section alike.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twins.alerts import AlertState, blank_alerts
from twins.devices import DeviceType
from twins.packing import Arrays
from twins.signals import SignalState, blank_signals

NEVER_US: Final = np.iinfo(np.int64).min
"""The time of what has not happened yet."""

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
    last_us: NDArray[np.int64]  # (n, channels) event time of the newest reading, scored or BAD
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

    @property
    def capacity(self) -> int:
        return len(self.core.status)

    @property
    def nbytes(self) -> int:
        """Bytes held, unused capacity included."""
        return sum(array.nbytes for section in self for array in section)


def blank_core(capacity: int, device_type: DeviceType) -> CoreState:
    """Devices of which nothing has been heard."""
    channels = len(device_type.channels)
    return CoreState(
        last_value=np.full((capacity, channels), np.nan, device_type.dtype),
        last_us=np.full((capacity, channels), NEVER_US, np.int64),
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
    )


def grown(state: ShardState, capacity: int, rows: int, device_type: DeviceType) -> ShardState:
    """The same first ``rows`` devices with room for ``capacity``."""
    larger = blank_state(capacity, device_type)
    for old, new in zip(state, larger, strict=True):
        for source, target in zip(old, new, strict=True):
            target[:rows] = source[:rows]
    return larger


def to_arrays(state: ShardState, rows: int) -> Arrays:
    """Views of the first ``rows`` of every array, under ``section.name``."""
    return {key: array[:rows] for key, array in _named(state)}


def from_arrays(arrays: Arrays, capacity: int, rows: int, device_type: DeviceType) -> ShardState:
    """The state that ``to_arrays`` gave, with room for ``capacity``; it shares nothing with ``arrays``.

    Raises
    ------
    ValueError : if an array is missing or has another shape or dtype than this version of the shard keeps.
    """
    state = blank_state(capacity, device_type)
    for key, target in _named(state):
        source = arrays.get(key)
        if source is None:
            raise ValueError(f"array {key!r} is missing")
        if source.dtype != target.dtype or source.shape[1:] != target.shape[1:] or len(source) != rows:
            raise ValueError(
                f"array {key!r} is {source.dtype}{source.shape}, this version keeps {target.dtype}{target.shape[1:]}"
            )
        target[:rows] = source
    return state


def _named(state: ShardState) -> Iterator[tuple[str, NDArray[Any]]]:
    """Every array under ``section.name``."""
    sections: tuple[tuple[str, Any], ...] = tuple(zip(state._fields, state, strict=True))
    for section_name, section in sections:
        for name, array in zip(section._fields, section, strict=True):
            yield f"{section_name}.{name}", array
