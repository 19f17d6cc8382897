"""Live tables made up without a fleet: every column that a host shows, from a seed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from serve.live import Generation
from twins.views import STATUSES

TIME = pa.timestamp("us", "UTC")
NOW_US = 1_760_000_000_000_000


def coded(codes: Any, words: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.asarray(codes, np.int32)), pa.array(words, pa.string()))


def devices(
    name: str, ids: list[str] | pa.Array, seed: int = 0, channels: tuple[str, ...] = (), **given: Any
) -> pa.Table:
    """One table of the type ``name``; columns in ``given`` take the place of made-up ones."""
    rng = np.random.default_rng(seed)
    n = len(ids)
    unheard = rng.random(n) < 0.1
    columns: dict[str, Any] = {
        "device_id": pa.array(ids, pa.string()),
        "site": coded(rng.integers(0, 3, n), ["oslo", "bergen", "ålesund"]),
        "parent": coded(np.zeros(n), [""]),
        "name": coded(np.arange(n) % 50, [f"Machine {i}" for i in range(50)]),
        "labels": coded(rng.integers(0, 3, n), ['{"line":"1"}', '{"line":"2","a/b~c":"x"}', "{}"]),
        "device_type": coded(np.zeros(n), [name]),
        "status": coded(np.where(unheard, 2, rng.choice([0, 0, 0, 1, 3], n)), list(STATUSES)),
        "health": pa.array(
            np.where(unheard, np.nan, rng.integers(0, 20, n) * 5.3).astype(np.float32), from_pandas=True
        ),
        "observed": pa.array(rng.random(n).astype(np.float32)),
        "anomaly_score": pa.array(rng.random(n).astype(np.float32), from_pandas=True),
        "anomalous": pa.array(rng.random(n) < 0.2),
        "patterns": pa.array(rng.integers(0, 128, n).astype(np.uint8)),
        "regime": pa.array(np.zeros(n, np.uint8)),
        "alerts": pa.array(rng.integers(0, 3, n).astype(np.int32)),
        "unacknowledged": pa.array(np.zeros(n, np.int32)),
        "priority": pa.array(rng.choice([0, 1, 2, 3, 255], n).astype(np.uint8)),
        "event_time": pa.array(NOW_US - rng.integers(0, 5, n) * 1_000_000, mask=unheard).cast(TIME),
        "heard_at": pa.array(np.full(n, NOW_US), mask=unheard).cast(TIME),
        "interval_s": pa.array(np.ones(n)),
        "life_cycle": pa.array(np.zeros(n, np.int32)),
        **{
            fate: pa.array(np.full(n, 3, np.uint32))
            for fate in ("scored", "late", "duplicate", "bad", "future")
        },
        "p_fail_24h": pa.array(rng.random(n).astype(np.float32) * 0.1),
        "p_fail_7d": pa.array(
            np.where(unheard, np.nan, rng.random(n) * 0.5).astype(np.float32), from_pandas=True
        ),
        "p_fail_30d": pa.array(rng.random(n).astype(np.float32)),
        "rul_p05_h": pa.array(rng.random(n).astype(np.float32) * 100),
        "rul_p50_h": pa.array(
            np.where(unheard, np.nan, rng.random(n) * 900).astype(np.float32), from_pandas=True
        ),
        "rul_p95_h": pa.nulls(n, pa.float32()),
        "like_healthy": pa.array(rng.integers(1, 40, n).astype(np.float32) / 40, from_pandas=True),
        "failure_mode": coded(rng.integers(0, 2, n), ["wear", "leak"]),
        "in_distribution": pa.array(rng.random(n) < 0.9),
        "model_version": pa.array(np.ones(n, np.int32)),
        "predicted_at": pa.array(np.full(n, NOW_US), mask=unheard).cast(TIME),
        **{channel: pa.array(rng.random(n).astype(np.float32) * 10) for channel in channels},
        **given,
    }
    return pa.table(columns)


def alerts(lines: list[Mapping[str, Any]]) -> pa.Table:
    """Standing alerts; what a line leaves out is blank."""
    blank: dict[str, Any] = {
        "device_id": "pump-1", "device_type": "pump", "site": "oslo", "rule": "hot", "title": "Hot",
        "priority": "high", "state": "UNACK", "active": True, "occurrence": 1, "since": NOW_US, "value": 1.0, "limit": None,
        "shelved_until": None, "assignee": "", "acknowledged_by": "", "comments": 0,
    }  # fmt: skip
    schema = pa.schema(
        [
            ("device_id", pa.string()), ("device_type", pa.string()), ("site", pa.string()),
            ("rule", pa.string()),
            ("title", pa.string()), ("priority", pa.string()), ("state", pa.string()), ("active", pa.bool_()),
            ("occurrence", pa.int64()), ("since", TIME), ("value", pa.float64()), ("limit", pa.float64()),
            ("shelved_until", TIME), ("assignee", pa.string()), ("acknowledged_by", pa.string()),
            ("comments", pa.int32()),
        ]
    )  # fmt: skip
    return pa.Table.from_pylist([{**blank, **line} for line in lines], schema)


def generation(tables: Mapping[str, pa.Table], host: int = 0, cursor: int = 1, **more: Any) -> Generation:
    given = {"epoch": 1, "at_us": NOW_US, "alerts": alerts([]), **more}
    return Generation(host=host, cursor=cursor, tables=tables, **given)


class Shown:
    """A source that shows what it was last given."""

    def __init__(self, *generations: Generation) -> None:
        self.generations = list(generations)

    def newest(self) -> list[Generation]:
        return self.generations
