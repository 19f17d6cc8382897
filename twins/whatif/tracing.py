"""Every step of a few devices, kept whole: what was read, health, wear."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twins.clock import HOUR_US
from twins.whatif.cast import Cast
from twins.whatif.stepping import Traces

TRACES = pa.schema(
    [("device_id", pa.string()), ("at_h", pa.float64()), ("quantity", pa.string()), ("value", pa.float64())]
)
"""One line a device, quantity and step: channels by name, ``health``, ``wear.<mode>``, ``running``; null: not known."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """Devices of which every step is kept; those that are not in the fork are left out."""

    device_ids: tuple[str, ...]


class Traced:
    """Steps of some devices of a run."""

    def __init__(self, cast: list[Cast], tracing: Tracing, steps: int, step_us: int) -> None:
        self._cast, self._step_us = cast, step_us
        self._kept = [_room(each, tracing, steps) for each in cast]

    def of(self, kind: Cast) -> Traces:
        """Where the steps of a type are put."""
        return self._kept[kind.index][1]

    def table(self) -> pa.Table:
        """What was kept, in the form of ``TRACES``."""
        parts = []
        for kind, (rows, traces) in zip(self._cast, self._kept, strict=True):
            of = kind.device_type
            at_h = (np.arange(len(traces.values)) + 1) * (self._step_us / HOUR_US)
            named: dict[str, NDArray[Any]] = {
                **{channel.name: traces.values[:, :, c] for c, channel in enumerate(of.channels)},
                "health": traces.health,
                **{f"wear.{mode.name}": traces.wear[:, :, m] for m, mode in enumerate(of.failure_modes)},
                "running": traces.running,
            }
            for i, row in enumerate(rows.tolist()):
                for name, values in named.items():
                    column = values[:, i].astype(np.float64)
                    said = [pa.repeat(kind.ids[row], len(at_h)), at_h, pa.repeat(name, len(at_h))]
                    parts.append(pa.table([*said, pa.array(column, mask=np.isnan(column))], TRACES))
        return pa.concat_tables(parts) if parts else TRACES.empty_table()


def no_traces(kind: Cast) -> Traces:
    """Room for nothing."""
    channels, modes = len(kind.device_type.channels), len(kind.device_type.failure_modes)
    return _traces(np.full(kind.rows, -1, np.int32), 0, 0, channels, modes)


def _room(kind: Cast, tracing: Tracing, steps: int) -> tuple[NDArray[np.int64], Traces]:
    known = {device_id: row for row, device_id in enumerate(kind.ids)}
    rows = np.array([known[each] for each in tracing.device_ids if each in known], np.int64)
    place = np.full(kind.rows, -1, np.int32)
    place[rows] = np.arange(len(rows))
    channels, modes = len(kind.device_type.channels), len(kind.device_type.failure_modes)
    return rows, _traces(place, steps if len(rows) else 0, len(rows), channels, modes)


def _traces(place: NDArray[np.int32], steps: int, kept: int, channels: int, modes: int) -> Traces:
    return Traces(
        place,
        np.full((steps, kept, channels), np.nan),
        np.full((steps, kept), np.nan, np.float32),
        np.full((steps, kept, modes), np.nan),
        np.zeros((steps, kept), np.bool_),
    )
