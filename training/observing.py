"""Readings of the last while in bins of an hour, as the estimation of damage wants them; what is not stored yet is there."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training import rollups
from training.history import History
from training.tables import READINGS, sql_name
from twins.clock import HOUR_US
from twins.devices import DeviceType
from twins.whatif.estimation import Observed

BIN_S: Final = 3600.0

_SPAN: Final = "1h"


def observed(
    history: History,
    device_type: DeviceType,
    ids: Sequence[str],
    end_us: int,
    bins: int,
    whole_hours: bool = True,
) -> Observed:
    """Mean, standard deviation and count of each channel of some devices in the last ``bins`` hours before ``end_us``.

    Hours are whole ones of UTC; the last is that of ``end_us``, and may not be over. Without ``whole_hours`` the last ends
    with ``end_us``, and all come from the readings themselves.

    Parameters
    ----------
    ids : (n,) in the order of the rows that are wanted; one that history does not know has no readings
    """
    stop_us = (end_us // HOUR_US + 1) * HOUR_US if whole_hours else end_us + 1
    start_us = stop_us - bins * HOUR_US
    channels = device_type.channel_names
    shape = (len(ids), bins, len(channels))
    out = Observed(BIN_S, start_us, np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, np.int64))
    known = history.tables()
    summed = rollups.table_name(_SPAN, device_type.name)
    readings = READINGS + sql_name(device_type.name)
    wanted = pa.array(ids, pa.string())
    split_us = start_us
    if summed in known and whole_hours:
        newest = history.query(f"SELECT epoch_us(max(event_time)) AS at FROM {summed}")["at"][0].as_py()
        split_us = (
            start_us if newest is None else min(max(start_us, newest), stop_us)
        )  # that hour may not be whole
        if split_us > start_us:
            told = history.query(
                f"SELECT device_id, channel, (epoch_us(event_time) - {start_us}) // {HOUR_US} AS k, count, sum, "
                f"sum_of_squares FROM {summed} "
                "WHERE epoch_us(event_time) >= ? AND epoch_us(event_time) < ?",
                [start_us, split_us],
                devices=wanted,
            )
            _fill(out, told, wanted, channels)
    if readings in known and split_us < stop_us:
        told = history.query(
            _summing(readings, [name for name in channels if name in known[readings].names]),
            [out.start_us, split_us, end_us],
            devices=wanted,
        )
        _fill(out, told, wanted, channels)
    return out


def _summing(readings: str, channels: Sequence[str]) -> str:
    columns = ", ".join(f'"{name}"' for name in channels)
    return f"""
WITH new AS (SELECT device_id, (epoch_us(event_time) - ?) // {HOUR_US} AS k, {columns} FROM {readings}
    WHERE epoch_us(event_time) >= ? AND epoch_us(event_time) <= ?)
SELECT device_id, channel, k, count(*) AS count, sum(value::DOUBLE) AS sum,
    sum(value::DOUBLE * value::DOUBLE) AS sum_of_squares
FROM (UNPIVOT new ON {columns} INTO NAME channel VALUE value) GROUP BY ALL"""


def _fill(out: Observed, told: pa.Table, ids: pa.StringArray, channels: Sequence[str]) -> None:
    """Put sums into their places."""
    row = pc.index_in(told["device_id"].cast(pa.string()), ids).to_numpy()
    channel = pc.index_in(told["channel"].cast(pa.string()), pa.array(channels)).fill_null(-1).to_numpy()
    k = told["k"].to_numpy()
    count, total = told["count"].to_numpy(), told["sum"].to_numpy()
    squares = told["sum_of_squares"].to_numpy()
    mean = total / count
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.maximum(squares - total * mean, 0.0) / (count - 1)
    inside = channel >= 0
    place = (row[inside], k[inside], channel[inside])
    out.mean[place] = mean[inside]
    out.sd[place] = np.where(count > 1, np.sqrt(variance), np.nan)[inside]
    out.count[place] = count[inside]
