import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.parsing import instants, numbers

CELLS = st.one_of(
    st.none(),
    st.floats(allow_nan=False, width=64).map(repr),
    st.integers(-(10**15), 10**15).map(str),
    st.sampled_from(["", "x", "1,5", "--", "1.2.3", "0x10", "1e", " 7 ", "é", "12abc", "+4", ".5", "5."]),
)


def as_number(text):
    if text is None:
        return math.nan
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


@given(st.lists(CELLS, max_size=20))
def test_numbers_agree_with_one_cell_at_a_time(cells):
    values, given_, wrong = numbers(pa.array(cells, pa.string()))
    expected = np.array([as_number(cell) for cell in cells])
    assert np.array_equal(values, expected, equal_nan=True)
    assert given_.tolist() == [cell is not None for cell in cells]
    assert wrong.tolist() == [cell is not None and math.isnan(as_number(cell)) for cell in cells]


def test_numbers_read_a_decimal_comma():
    assert numbers(pa.array(["1,5", "2"]), ",")[0].tolist() == [1.5, 2.0]


def test_numbers_take_columns_that_hold_numbers():
    values, given_, wrong = numbers(pa.array([1, None, 3], pa.int16()))
    assert values.tolist()[::2] == [1.0, 3.0]
    assert not wrong.any()
    assert given_.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("text", "form", "zone", "expected"),
    [
        ("2020-03-09 10:14:33", "", "UTC", "2020-03-09T10:14:33+00:00"),
        ("2020-03-09T10:14:33Z", "", "UTC", "2020-03-09T10:14:33+00:00"),
        ("2020-03-09T10:14:33.123456+02:00", "", "UTC", "2020-03-09T08:14:33.123456+00:00"),
        ("2020-07-01 12:00:00", "", "Europe/Paris", "2020-07-01T10:00:00+00:00"),
        ("2020-10-25 02:30:00", "", "Europe/Paris", "2020-10-25T00:30:00+00:00"),
        ("2020-03-29 02:30:00", "", "Europe/Paris", "2020-03-29T01:00:00+00:00"),
        ("09.03.2020 10:14", "%d.%m.%Y %H:%M", "UTC", "2020-03-09T10:14:00+00:00"),
        ("09.03.2020 10:14 +0100", "%d.%m.%Y %H:%M %z", "UTC", "2020-03-09T09:14:00+00:00"),
        ("1583748873.5", "epoch_s", "UTC", "2020-03-09T10:14:33.500000+00:00"),
        ("1583748873500", "epoch_ms", "UTC", "2020-03-09T10:14:33.500000+00:00"),
    ],
)
def test_instants_read_what_files_hold(text, form, zone, expected):
    at_us, known = instants(pa.array([text, None]), form, zone)
    assert known.tolist() == [True, False]
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(at_us[0])) == datetime.fromisoformat(
        expected
    )


@pytest.mark.parametrize("form", ["", "%Y-%m-%d %H:%M:%S", "epoch_s"])
def test_a_bad_time_costs_itself_alone(form):
    good = "1577836800" if form == "epoch_s" else "2020-01-01 00:00:00"
    at_us, known = instants(pa.array([good, "noon", None, good]), form)
    assert known.tolist() == [True, False, False, True]
    assert at_us[[0, 3]].tolist() == [1_577_836_800_000_000] * 2


def test_times_with_and_without_offset_mix():
    at_us, known = instants(pa.array(["2020-01-01T00:00:00Z", "2020-01-01T00:00:00"]))
    assert known.all()
    assert at_us[0] == at_us[1]
