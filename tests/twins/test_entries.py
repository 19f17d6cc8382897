"""Entries come back as they went in, whatever is regular in them, and the regular costs little."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from twins import entries
from twins.events import EVENT, EVERY, EventBatch, Kind
from twins.packing import PackingError
from twins.readings import ShardBatch, all_present


class Outcome(NamedTuple):
    fate: NDArray[np.uint8]
    bad: NDArray[np.uint64]
    late: NDArray[np.uint64]
    duplicate: NDArray[np.uint64]


def outcome_of(n: int, rng: np.random.Generator, quiet: bool) -> Outcome:
    high = 1 if quiet else 4
    masks = [rng.integers(0, high, n).astype(np.uint64) for _ in range(3)]
    return Outcome(rng.integers(0, high, n).astype(np.uint8), *masks)


@settings(deadline=None)
@given(
    n=st.integers(0, 40),
    channels=st.sampled_from([1, 3, 8, 63, 64]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32),
    counting=st.booleans(),
    same_time=st.booleans(),
    complete=st.booleans(),
    quiet=st.booleans(),
)
def test_readings_come_back(
    n: int,
    channels: int,
    dtype: type,
    seed: int,
    counting: bool,
    same_time: bool,
    complete: bool,
    quiet: bool,
) -> None:
    rng = np.random.default_rng(seed)
    values: NDArray[Any] = rng.normal(size=(n, channels)).astype(dtype)
    values[rng.random(values.shape) < 0.1] = np.nan
    start = int(rng.integers(0, 1000))
    batch = ShardBatch(
        np.arange(start, start + n, dtype=np.int32) if counting else rng.integers(0, 9, n).astype(np.int32),
        np.full(n, 17, np.int64) if same_time else rng.integers(0, 5, n),
        values,
        np.full(n, all_present(channels)) if complete else rng.integers(0, 2, n).astype(np.uint64),
    )
    outcome = outcome_of(n, rng, quiet)
    payload = bytes(entries.encode_readings("pump", batch, outcome))

    lines = entries.decode_lines(payload)
    assert lines.device_type == "pump"
    for name in ("fate", "bad", "late", "duplicate"):
        found, given_ = getattr(lines, name), getattr(outcome, name)
        assert np.array_equal(given_, np.zeros(n, given_.dtype) if found is None else found)

    device_type, again = entries.decode_readings(payload)
    assert device_type == "pump"
    for column in ("rows", "event_us", "values", "present"):
        found, given_ = getattr(again, column), getattr(batch, column)
        assert found.dtype == given_.dtype
        assert found.tobytes() == given_.tobytes()
        assert found.flags.writeable
        assert found.flags.c_contiguous


def test_what_is_regular_is_said_once() -> None:
    n = 10_000
    values = np.ones((n, 4), np.float32)
    batch = ShardBatch(
        np.arange(n, dtype=np.int32), np.full(n, 5, np.int64), values, np.full(n, all_present(4), np.uint64)
    )
    quiet = outcome_of(n, np.random.default_rng(0), quiet=True)
    assert len(entries.encode_readings("pump", batch, quiet)) < values.nbytes + 512


@settings(deadline=None)
@given(hnp.arrays(np.int32, st.integers(0, 6), elements=st.integers(-3, 3)))
def test_counting_up_is_recognised_exactly(rows: NDArray[np.int32]) -> None:
    expected = all(b == a + 1 for a, b in pairwise(rows))
    assert entries._counts_up(rows) == expected


def test_events_come_back_with_their_notes() -> None:
    records = np.zeros(3, EVENT)
    records["kind"] = int(Kind.ALERT_RAISED)
    records["row"] = [4, 5, 6]
    records["a"] = [1.5, np.nan, -2.0]
    batches = {
        "pump": EventBatch(records, {1: {"by": "ann", "note": "ü"}, EVERY: {"command": "x"}}),
        "fan": EventBatch(records[:1]),
        "none": EventBatch.empty(),
    }
    found = entries.decode_events(bytes(entries.encode_events(batches)))
    assert list(found) == list(batches)
    for name, batch in batches.items():
        assert found[name].records.tobytes() == batch.records.tobytes()
        assert found[name].notes == batch.notes


def test_commands_come_back() -> None:
    body = {"device_id": "a", "note": "wärmer", "by": "ann", "devices": [{"id": "x"}], "until": None}
    assert entries.decode_command(bytes(entries.encode_command("ShelveAlert", body))) == ("ShelveAlert", body)


def test_bytes_of_something_else_are_refused() -> None:
    with pytest.raises(PackingError):
        entries.decode_lines(b"not a block of ours at all")
