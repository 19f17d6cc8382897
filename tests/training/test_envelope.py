"""Envelopes against the slow, obvious way."""

import math

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from training.envelope import Envelope
from training.tables import TIMESTAMP

values = st.one_of(st.none(), st.floats(-9, 9, width=32))


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(-5, 60), values, values), max_size=30),
    width=st.integers(1, 25),
    wide=st.booleans(),
)
def test_no_peak_is_lost(rows: list[tuple[int, float | None, float | None]], width: int, wide: bool) -> None:
    dtype = pa.float64() if wide else pa.float32()
    start, end = 10, 50
    table = pa.table(
        {
            "event_time": pa.array([time for time, _, _ in rows], pa.int64()).cast(TIMESTAMP),
            "flow": pa.array([x for _, x, _ in rows], dtype),
            "speed": pa.array([y for _, _, y in rows], dtype),
        }
    )
    envelope = Envelope(["flow", "speed"], start, end, width)
    half = len(rows) // 2
    envelope.add_readings(table.slice(0, half))
    envelope.add_readings(table.slice(half))
    expected: dict[int, list[list[float]]] = {}
    buckets = math.ceil((end - start) / width)
    for time, *both in rows:
        bucket = (time - start) // width
        for c, value in enumerate(both):
            if value is not None and 0 <= bucket < buckets:
                expected.setdefault(bucket, [[], []])[c].append(value)
    found = envelope.rows()
    assert found["event_time"].cast(pa.int64()).to_pylist() == [start + b * width for b in sorted(expected)]
    for c, name in enumerate(("flow", "speed")):
        for end_, pick in (("min", min), ("max", max)):
            wanted = [pick(expected[b][c], default=None) for b in sorted(expected)]
            assert found[f"{name}_{end_}"].to_pylist() == wanted


def test_rollups_and_readings_widen_the_same_buckets() -> None:
    times = pa.array([10, 20], pa.int64()).cast(TIMESTAMP)
    envelope = Envelope(["flow"], 10, 30, 10)
    envelope.add_readings(pa.table({"event_time": times, "flow": np.array([1.0, 5.0])}))
    envelope.add_rollup(
        pa.table({"channel": ["flow", "speed"], "event_time": times, "min": [-2.0, -9.0], "max": [0.5, 9.0]})
    )
    assert envelope.rows()["flow_min"].to_pylist() == [-2.0, 5.0]
    assert envelope.rows()["flow_max"].to_pylist() == [1.0, 5.0]
