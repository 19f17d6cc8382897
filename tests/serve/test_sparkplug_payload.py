"""Payloads: written and read back, whatever bytes come are read or refused, and a small one does not become large."""

import contextlib
import math
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serve.sparkplug.payload import (
    MOST_BYTES,
    MOST_METRICS,
    DataType,
    PayloadError,
    Sent,
    can_hold,
    is_number,
    is_text,
    read_payload,
    text_of,
    value_of,
    write_payload,
)

AT_MS = 1_760_000_000_000

BITS = {1: 8, 2: 16, 3: 32, 4: 64, 5: 8, 6: 16, 7: 32, 8: 64}


def a_value(datatype: DataType) -> st.SearchStrategy[float | int | bool | str]:
    if datatype <= DataType.INT64:
        edge = 1 << (BITS[datatype] - 1)
        return st.integers(-edge, edge - 1)
    if datatype <= DataType.UINT64:
        return st.integers(0, (1 << BITS[datatype]) - 1)
    if datatype is DataType.BOOLEAN:
        return st.booleans()
    if is_text(datatype):
        return st.text(max_size=20)
    return st.floats(allow_nan=False, width=32 if datatype is DataType.FLOAT else 64)


@given(
    st.sampled_from(DataType).flatmap(lambda kind: st.tuples(st.just(kind), st.none() | a_value(kind))),
    st.text(max_size=20),
    st.none() | st.integers(0, (1 << 64) - 1),
    st.booleans(),
)
def test_what_is_written_is_read(
    typed: tuple[DataType, float | str | None], name: str, alias: int | None, old: bool
) -> None:
    datatype, value = typed
    found = read_payload(write_payload(AT_MS, [Sent(value, datatype, name, alias, AT_MS - 5, old)], 200))
    (metric,) = found.metrics
    assert (found.at_ms, found.sequence) == (AT_MS, 200)
    assert (metric.name, metric.alias, metric.at_ms, metric.is_historical) == (name, alias, AT_MS - 5, old)
    assert (text_of if is_text(datatype) else partial(value_of, datatype=datatype))(metric) == value


@given(
    st.sampled_from(DataType),
    st.integers(-(1 << 65), 1 << 65) | st.floats() | st.booleans() | st.text(max_size=5),
)
def test_what_a_type_can_hold_is_read_as_it_was_and_the_rest_is_told(
    datatype: DataType, value: float | str
) -> None:
    if not can_hold(datatype, value):
        assert datatype not in (DataType.STRING, DataType.TEXT) or not isinstance(value, str)
        return
    (metric,) = read_payload(write_payload(AT_MS, [Sent(value, datatype, "x")])).metrics
    if is_text(datatype):
        assert text_of(metric) == value
    elif datatype is DataType.FLOAT:
        assert value_of(metric, datatype) == pytest.approx(value, rel=1e-6, abs=1e-37)
    else:
        assert value_of(metric, datatype) == value


@pytest.mark.parametrize(
    ("datatype", "value", "holds"),
    [
        (DataType.INT8, -128, True),
        (DataType.INT8, 300, False),
        (DataType.UINT16, -5, False),
        (DataType.UINT64, (1 << 64) - 1, True),
        (DataType.INT64, 1 << 63, False),
        (DataType.INT32, 1.5, False),
        (DataType.FLOAT, 1e39, False),
        (DataType.DOUBLE, math.inf, False),
        (DataType.DOUBLE, math.nan, False),
        (DataType.BOOLEAN, 1, False),
        (DataType.UINT8, True, False),
        (31, 1, False),  # a template
    ],
)
def test_what_a_type_can_hold(datatype: int, value: float, holds: bool) -> None:
    assert can_hold(datatype, value) is holds


@pytest.mark.parametrize(
    ("raw", "kind", "meant"), [(0xFF, 1, -1), (0xFFFFFFFF, 1, -1), (0x80, 1, -128), (0x7F, 1, 127)]
)
def test_a_negative_small_integer_may_come_in_its_own_bits_or_in_thirty_two(
    raw: int, kind: int, meant: int
) -> None:
    (metric,) = read_payload(write_payload(AT_MS, [Sent(raw, DataType.UINT32, "x")])).metrics
    assert value_of(metric, kind) == meant


def test_what_is_null_not_a_number_or_of_bad_quality_is_a_bad_reading() -> None:
    nan = Sent(math.nan, DataType.DOUBLE, "x")
    (metric,) = read_payload(write_payload(AT_MS, [nan])).metrics
    assert value_of(metric, metric.datatype) is None
    for code, is_good in ((0, False), (500, False), (192, True)):
        # a property set: keys ["Quality"], values [int_value code]
        value = bytes([0x18, *varint(code)])
        properties = b"\x0a\x07Quality" + b"\x12" + bytes([len(value)]) + value
        metric_bytes = (
            b"\x0a\x01x" + b"\x20\x0a" + b"\x4a" + bytes([len(properties)]) + properties + b"\x69" + bytes(8)
        )
        (metric,) = read_payload(b"\x12" + bytes([len(metric_bytes)]) + metric_bytes).metrics
        assert metric.is_good is is_good
        assert value_of(metric, metric.datatype) == (0.0 if is_good else None)


def test_a_text_or_another_kind_of_value_is_told_apart() -> None:
    text = b"\x0a\x01x\x20\x0c\x7a\x02hi"  # name x, datatype String, string_value hi
    (metric,) = read_payload(b"\x12" + bytes([len(text)]) + text).metrics
    assert not is_number(metric.datatype)
    with pytest.raises(TypeError, match="DOUBLE came as string"):
        value_of(metric, DataType.DOUBLE)


def test_a_small_payload_does_not_become_a_large_one() -> None:
    with pytest.raises(PayloadError, match="metrics"):
        read_payload(b"\x12\x00" * (MOST_METRICS + 1))
    with pytest.raises(PayloadError, match="bytes"):
        read_payload(bytes(MOST_BYTES + 1))


@given(st.binary(max_size=200))
@example(b"\x12\x03\x0a\x01\xff")  # a name that is no text
@example(b"\x0a" * 100)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = read_payload(data)
    except PayloadError:
        return
    for metric in found.metrics:
        if is_number(metric.datatype):
            with contextlib.suppress(TypeError):
                value_of(metric, metric.datatype)


def varint(number: int) -> list[int]:
    out = []
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return [*out, number]
