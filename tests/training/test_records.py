"""Records of other files are told once readings have come past their time, and never before."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.records import SourceRecord, Waiting
from twins.readings import ReadingBatch

LINE = st.tuples(st.sampled_from("abc"), st.integers(0, 20))
RECORD = st.tuples(st.sampled_from("abcd"), st.integers(-2, 23))


def batch(lines: list[tuple[str, int]]) -> ReadingBatch:
    index = np.array(["abc".index(device) for device, _ in lines], np.int32)
    times = np.array([at for _, at in lines], np.int64)
    values, present = np.zeros((len(lines), 1), np.float32), np.ones(len(lines), np.uint64)
    return ReadingBatch("gauge", pa.array([*"abc"]), index, times, values, present)


def record(device: str, at_us: int) -> SourceRecord:
    return SourceRecord(device, at_us, -1, "repair")


def slowly(lines: list[tuple[str, int]], records: list[tuple[str, int]]) -> list[tuple[int, str, int]]:
    """The line that each record comes before, line by line; those that come before none last."""
    told, left = [], sorted(records, key=lambda each: each[1])
    for number, (device, at) in enumerate(lines):
        due = [each for each in left if each[0] == device and each[1] < at]
        told += [(number, *each) for each in due]
        left = [each for each in left if each not in due]
    return [*told, *((len(lines), *each) for each in left)]


@settings(max_examples=200, deadline=None)
@given(st.lists(LINE, max_size=30), st.lists(RECORD, max_size=12), st.integers(1, 7))
def test_agrees_with_going_line_by_line(
    lines: list[tuple[str, int]], records: list[tuple[str, int]], at_once: int
) -> None:
    waiting = Waiting((record(*each), each) for each in records)
    told = []
    for first in range(0, len(lines), at_once):
        part = waiting.due(batch(lines[first : first + at_once]))
        told += [(first + each.after_line + 1, each.device_id, each.at_us) for each in part]
    assert sorted(told) == sorted(each for each in slowly(lines, records) if each[0] < len(lines))
    rest, strangers = waiting.rest("abc")
    assert len(waiting) == len(rest) + len(strangers)
    assert sorted((each.device_id, each.at_us) for each in rest) + sorted(strangers) == sorted(
        each[1:] for each in slowly(lines, records) if each[0] == len(lines)
    )


def test_one_at_a_readings_own_time_follows_it() -> None:
    waiting = Waiting([(record("a", 5), None)])
    (told,) = waiting.due(batch([("a", 4), ("b", 9), ("a", 5), ("a", 6)]))
    assert told.after_line == 2


@pytest.mark.parametrize("lines", [[], [("b", 9)]])
def test_nothing_is_due_where_its_device_says_nothing(lines: list[tuple[str, int]]) -> None:
    waiting = Waiting([(record("a", 5), None)])
    assert waiting.due(batch(lines)) == []
    assert len(waiting) == 1
