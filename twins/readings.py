"""Readings on their way in: columns, never objects.

A ``ReadingBatch`` is what a gateway, a file or the simulator sends: readings of one device type, one line per device and
event time, one column per channel. Routing turns it into ``ShardBatch``es, which name rows instead of ids. No transport
format lives here.

What becomes of a reading (``Fate``) is decided per device *and channel*:

* a time further ahead of ``now`` than ``max_ahead_s`` is FUTURE: refused, and moves no clock;
* NaN, infinite, out of range or of the wrong kind is BAD: stored, not scored;
* older than the newest of that channel is LATE: stored, does not move the twin;
* the same time as the newest is DUPLICATE: counted, not stored again;
* else it is SCORED.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from twins.devices import DeviceType
from twins.directory import Seal
from twins.errors import ReadingError

MAX_CHANNELS: Final = 64

Values = NDArray[Any]  # (n, channels) float32 or float64


class Fate(IntEnum):
    """What became of a line: the best of its channels, in the order of these codes."""

    SCORED = 0
    BAD = 1
    LATE = 2
    DUPLICATE = 3
    FUTURE = 4
    EMPTY = 5


@dataclass(frozen=True, slots=True, eq=False)
class ReadingBatch:
    """Readings of one device type.

    Attributes
    ----------
    device_type : name of the type
    ids : the device ids that occur, each once; reuse the same object from batch to batch and routing costs nothing
    index : (n,) int32, position in ``ids`` of each line
    event_us : (n,) int64, event time, µs UTC
    values : (n, channels) in the order of the type's channels; NaN where ``present`` is off, or the reading is bad
    present : (n,) uint64, bit c is set where the sender gave channel c; None: every channel in every line
    """

    device_type: str
    ids: pa.StringArray
    index: NDArray[np.int32]
    event_us: NDArray[np.int64]
    values: Values
    present: NDArray[np.uint64] | None = None

    def __post_init__(self) -> None:
        n = len(self.index)
        if self.values.ndim != 2 or len(self.values) != n or len(self.event_us) != n:
            raise ReadingError(
                f"a batch needs as many times and lines of values as ids, got {n} ids, "
                f"{len(self.event_us)} times and values of shape {self.values.shape}"
            )
        if self.present is not None and len(self.present) != n:
            raise ReadingError(f"a batch of {n} lines has {len(self.present)} presence masks")

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, slots=True, eq=False)
class ShardBatch:
    """Readings of rows of one shard, rounded to the channels' resolution: what is stored is what is scored.

    ``rows`` (n,) int32 names rows of the shard; the other columns are as in ``ReadingBatch``. ``seal`` is of the rows that
    the directory knew which looked these up: a shard with other rows refuses them. None: they come from the shard's own log.
    """

    rows: NDArray[np.int32]
    event_us: NDArray[np.int64]
    values: Values
    present: NDArray[np.uint64]
    seal: Seal | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, start: int, stop: int) -> "ShardBatch":
        """Lines ``start`` to ``stop``, as views."""
        cut = slice(start, stop)
        return ShardBatch(self.rows[cut], self.event_us[cut], self.values[cut], self.present[cut], self.seal)


def merged(batches: Sequence[ShardBatch]) -> ShardBatch:
    """The lines of all batches, one after the other. Their seals were compared before."""
    if len(batches) == 1:
        return batches[0]
    return ShardBatch(
        np.concatenate([batch.rows for batch in batches]),
        np.concatenate([batch.event_us for batch in batches]),
        np.concatenate([batch.values for batch in batches]),
        np.concatenate([batch.present for batch in batches]),
    )


def all_present(channels: int) -> np.uint64:
    """The presence mask of a line that has every channel."""
    return np.uint64((1 << channels) - 1)


def rounded(values: Values, device_type: DeviceType) -> Values:
    """``values`` in the type's dtype, each channel rounded to its resolution: the nearest multiple, ties to even.

    States and flags stay as they are: half a state is no state but a reading of the wrong kind, for the shard to judge.
    Computed in float64, so equal inputs give equal bits everywhere; NaN stays NaN. A new array, (n, channels).

    Raises
    ------
    ReadingError : if there are not as many columns as the type has channels.
    """
    if values.shape[1] != len(device_type.channels):
        raise ReadingError(
            f"type {device_type.name!r} has {len(device_type.channels)} channels, got {values.shape[1]} columns"
        )
    out = np.empty(values.shape, device_type.dtype)
    round_into(values, *resolutions(device_type), out)
    return out


def resolutions(device_type: DeviceType) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(channels,) each: the resolution of every channel, 0 for none, and how many of it make a unit, 0 if not a whole
    number."""
    step = np.array(
        [0.0 if channel.kind in ("state", "flag") else channel.resolution for channel in device_type.channels]
    )
    per_unit = np.round(1.0 / np.where(step > 0, step, 1.0))
    # 0.1 is no binary fraction but 10 steps make a unit: multiply by the whole number rather than by the step
    whole = np.abs(per_unit * step - 1.0) < 1e-9
    return step, np.where(whole, per_unit, 0.0)


@njit(cache=True)
def round_into(values: Values, step: NDArray[np.float64], per_unit: NDArray[np.float64], out: Values) -> None:
    """``rounded`` with ``resolutions`` at hand; ``out`` may be ``values``."""
    n, channels = values.shape
    for i in range(n):
        for c in range(channels):
            x = np.float64(values[i, c])
            if per_unit[c] > 0:
                x = np.rint(x * per_unit[c]) / per_unit[c]
            elif step[c] > 0:
                x = np.rint(x / step[c]) * step[c]
            out[i, c] = x
