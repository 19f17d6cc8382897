"""What the edge asks of history, in the shape in which it is shown."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serve.kpis import AlertKey, AlertLog
from serve.live import known, short
from serve.present import iso
from training.history import History
from twins.clock import SECOND_US
from twins.devices import PRIORITIES, DeviceType
from twins.prognosis import FIGURES

_CONDITION: Final = """
    SELECT epoch_ms(event_time) AS at_ms, health, anomaly_score FROM condition
    WHERE device_id = $device
      AND event_time >= make_timestamptz($start) AND event_time < make_timestamptz($end)
    ORDER BY event_time
"""
_PROGNOSES: Final = """
    SELECT epoch_ms(event_time) AS at_ms, model_version, failure_mode, in_distribution, p_fail_24h, p_fail_7d, p_fail_30d,
           rul_p05_h, rul_p50_h, rul_p95_h, like_healthy
    FROM prognoses
    WHERE device_id = $device AND NOT shadow
      AND event_time >= make_timestamptz($start) AND event_time < make_timestamptz($end)
    ORDER BY recorded_at
"""
_RAISED: Final = """
    SELECT device_id, device_type, json_extract_string(detail, '/rule') AS rule,
           CAST(json_extract_string(detail, '/occurrence') AS BIGINT) AS occurrence,
           min(epoch_us(event_time)) FILTER (WHERE type = 'alert.raised') AS raised_us,
           min(epoch_us(event_time)) FILTER (WHERE type = 'alert.acknowledged') AS acknowledged_us
    FROM events
    WHERE type IN ('alert.raised', 'alert.acknowledged') AND recorded_at >= make_timestamptz($start)
      AND NOT json_exists(detail, '/replayed')
    GROUP BY ALL
    HAVING raised_us >= $start AND raised_us < $end ORDER BY raised_us
"""


def device_history(
    history: History,
    device_type: str,
    device_id: str,
    start_us: int,
    end_us: int,
    channels: Sequence[str],
    points: int,
) -> dict[str, Any]:
    """Readings of one device; more than ``points`` of them as the least and the greatest of each bucket."""
    series = history.device_history(device_type, device_id, start_us, end_us, channels, points)
    rows = series.rows
    times = pc.divide(rows["event_time"].cast(pa.int64()), 1_000).to_pylist()
    shown: dict[str, dict[str, Any]] = {}
    for name in channels:
        if series.resolution_us:
            least, most = (
                rows[f"{name}_{end}"] if f"{name}_{end}" in rows.column_names else None
                for end in ("min", "max")
            )
            shown[name] = {"time": times, "min": _values(least, len(times)), "max": _values(most, len(times))}
        else:
            column = rows[name] if name in rows.column_names else None
            shown[name] = {"time": times, "value": _values(column, len(times))}
    return {
        "start": iso(start_us),
        "end": iso(end_us),
        "bucket_s": series.resolution_us / SECOND_US or None,
        "rows": len(times),
        "channels": shown,
    }


def device_condition(history: History, device_id: str, start_us: int, end_us: int) -> dict[str, list[Any]]:
    """Health and anomaly score over time, as columns."""
    rows = _rows(history, _CONDITION, {"device": device_id, "start": start_us, "end": end_us})
    return {
        "time": [row["at_ms"] for row in rows],
        "health": [short(row["health"]) for row in rows],
        "anomaly_score": [short(row["anomaly_score"]) for row in rows],
    }


def prognosis_history(history: History, device_id: str, start_us: int, end_us: int) -> dict[str, list[Any]]:
    """The forecasts that the twin was told over time, as columns."""
    asked = {"device": device_id, "start": start_us, "end": end_us}
    rows = _rows(history, _PROGNOSES, asked)
    plain = ("model_version", "failure_mode", "in_distribution")
    return {
        "time": [row["at_ms"] for row in rows],
        **{name: [row[name] for row in rows] for name in plain},
        **{name: [short(row[name]) for row in rows] for name in FIGURES},
    }


def alert_log(
    history: History,
    types: Mapping[str, DeviceType],
    standing: pa.Table | None,
    start_us: int,
    end_us: int,
    devices: pa.Array | None = None,
) -> AlertLog:
    """The alerts that were raised in a stretch of time, of all devices or of these, and what stands now."""
    level = {
        (name, rule.name): PRIORITIES.index(rule.priority)
        for name, each in types.items()
        for rule in each.rules
    }
    rows = _rows(history, _RAISED, {"start": start_us, "end": end_us}, devices)
    keys: dict[AlertKey, int] = {}
    lines = [
        (
            row["raised_us"],
            keys.setdefault(AlertKey(row["device_id"], row["device_type"], row["rule"]), len(keys)),
            level.get((row["device_type"], row["rule"]), len(PRIORITIES) - 1),
            -1 if row["acknowledged_us"] is None else row["acknowledged_us"],
        )
        for row in rows
    ]
    columns = np.array(lines, np.int64).reshape(len(lines), 4).T
    since = np.zeros(0, np.int64)
    if standing is not None and devices is not None:
        standing = standing.filter(pc.is_in(standing["device_id"].cast(pa.string()), devices))
    if standing is not None:
        since = standing["since"].drop_null().cast(pa.int64()).to_numpy()
    return AlertLog(columns[0], columns[1], columns[2], columns[3], list(keys), since)


def _rows(
    history: History, sql: str, parameters: Mapping[str, Any], devices: pa.Array | None = None
) -> list[dict[str, Any]]:
    """The answer as dicts, from all devices or these; nothing where the table has not been begun."""
    try:
        rows: list[dict[str, Any]] = history.query(sql, parameters, devices=devices).to_pylist()
    except duckdb.CatalogException:
        return []
    return rows


def _values(column: pa.ChunkedArray | None, rows: int) -> list[float | None]:
    """Numbers, and None where there is none; float32 as the shortest text that reads back the same."""
    if column is None:
        return [None] * rows
    return [known(value) for value in _short(column).to_pylist()]


def _short(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """float32 as the float64 that is written with as few digits: 7.1, not 7.099999904632568."""
    if not pa.types.is_float32(column.type):
        return column
    return column.cast(pa.string()).cast(pa.float64())
