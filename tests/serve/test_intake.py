import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from serve.errors import BodyError
from serve.formats import JSON, Body, read_body
from serve.intake import Intake, gather
from tests.serve.edges import METER, PUMP
from twins.directory import Directory, Places

T_US = 1_760_000_000_123_456
ISO = "2025-10-09T08:53:20.123456Z"


class Known:
    """A fleet that knows four devices, and whether that is all."""

    def __init__(self, is_sure: bool = True) -> None:
        self.types = {"pump": PUMP, "meter": METER}
        self._is_sure = is_sure
        self._directory = Directory()
        self._directory.add(0, "pump", 0, pa.array(["p1", "p2", "p3"]))
        self._directory.add(1, "meter", 0, pa.array(["m1"]))

    def locate(self, ids: pa.StringArray) -> Places:
        return replace(self._directory.locate(ids), is_sure=self._is_sure)


def taken(lines: list[Any], wanted: str | None = None) -> Intake:
    return gather(lines, wanted, Known())


def parse(body: bytes, most: int) -> Body:
    return read_body(Headers({"content-type": JSON}), body, most, 1 << 20)


def line(device: Any = "p1", time: Any = T_US, **values: Any) -> dict[str, Any]:
    return {"device": device, "time": time, "values": values or {"vibration": 1.5}}


def codes(found: Intake) -> list[tuple[int, str]]:
    return [(each["index"], each["code"]) for each in found.refusals.told]


def test_lines_become_columns_by_type_in_their_order() -> None:
    found = taken(
        [line("p2", vibration=1, flow=2.5), line("m1", energy=7), line("p1", running=True), line("p2")]
    )
    assert codes(found) == []
    (meter, meter_at), (pump, pump_at) = sorted(found.batches, key=lambda batch: batch[0].device_type)
    assert pump_at.tolist() == [0, 2, 3]
    assert [pump.ids[i].as_py() for i in pump.index] == ["p2", "p1", "p2"]
    assert pump.present is not None
    assert pump.present.tolist() == [0b011, 0b100, 0b001]
    np.testing.assert_array_equal(pump.values, [[1, 2.5, np.nan], [np.nan, np.nan, 1], [1.5, np.nan, np.nan]])
    assert (meter.values.tolist(), meter_at.tolist()) == ([[7.0]], [1])


@pytest.mark.parametrize(
    "time", [T_US, ISO, "2025-10-09T10:53:20.123456+02:00", "2025-10-09T08:53:20.123456"]
)
def test_a_time_may_be_written_in_several_ways(time: Any) -> None:
    for others in (
        [],
        [line(time=T_US // 1000)],
        [line(time="2025-10-09")],
    ):  # alone, and so that each is looked at
        ((batch, _),) = taken([line(time=time), *others]).batches
        assert batch.event_us[0] == T_US


@pytest.mark.parametrize(
    "time", [None, True, 1.5, 0, -5, 1_760_000_000, 10**30, "", "soon", [], "0001-01-01", "9" * 40]
)
def test_what_is_no_time_is_refused(time: Any) -> None:
    found = taken([line(time=time), line("p2")])
    assert codes(found) == [(0, "time.invalid")]
    assert found.batches[0][1].tolist() == [1]


def test_unknown_devices_channels_and_kinds_cost_nobody_else_theirs() -> None:
    found = taken(
        [line("nobody"), line(vibration=1.0, colour=3), line(vibration="high", flow=2), line(vibration=True), line("p3"),
         line("p2", vibration=None), line("p2", vibration=10**400)]
    )  # fmt: skip
    assert codes(found) == [
        (0, "device.not_found"), (2, "reading.invalid"), (3, "reading.invalid"), (1, "channel.not_found"),
    ]  # fmt: skip
    ((batch, at),) = found.batches
    assert at.tolist() == [1, 2, 4, 5, 6]
    assert batch.present is not None
    assert batch.present.tolist() == [1, 2, 1, 1, 1]
    assert np.isnan(batch.values[3, 0])
    assert np.isinf(batch.values[4, 0])


def test_with_a_type_devices_of_another_are_refused() -> None:
    assert codes(taken([line("p1"), line("m1", energy=1)], "meter")) == [(0, "device.other_type")]
    assert codes(taken([line("p1")], "nothing")) == [(0, "device.other_type")]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        3,
        [],
        "x",
        {},
        {"device": "p1", "time": T_US},
        {**line(), "more": 1},
        {**line(), "values": {}},
        line(device=7),
    ],
)
def test_what_is_no_reading_is_refused(bad: Any) -> None:
    assert codes(taken([bad])) == [(0, "reading.invalid")]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"readings":{}}', b'{"readings":[],"x":1}', b'{"readings":[],"type":3}', b"\xff", b"[" * 5000,
     b'{"readings":[{"device":"p1","time":1,"values":{"vibration":NaN}}]}', b'{"readings":["\\ud800"]}'],
)  # fmt: skip
def test_a_body_that_cannot_be_read_says_why(body: bytes) -> None:
    with pytest.raises(BodyError, match=r"send|leave"):
        parse(body, 10)


def test_a_batch_has_a_largest_size() -> None:
    with pytest.raises(BodyError, match="at most 2"):
        parse(json.dumps({"readings": [line()] * 3}).encode(), 2)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
nearly = st.fixed_dictionaries(
    {
        "device": st.sampled_from(["p1", "p2", "m1", "nobody"]) | anything,
        "time": st.sampled_from([T_US, ISO, T_US // 1000]) | anything,
        "values": st.dictionaries(
            st.sampled_from(["vibration", "flow", "energy", "colour"]), anything, max_size=3
        )
        | anything,
    }
)


@settings(max_examples=150, deadline=None)
@given(st.lists(nearly | anything, max_size=6), st.none() | st.sampled_from(["pump", "meter"]))
def test_whatever_is_sent_each_line_is_taken_or_refused(lines: list[Any], wanted: str | None) -> None:
    found = taken(lines, wanted)
    kept = {int(at) for _, positions in found.batches for at in positions}
    assert kept | {each["index"] for each in found.refusals.told} == set(range(len(lines)))
    for batch, positions in found.batches:
        assert len(batch) == len(positions)
        assert (np.diff(positions) > 0).all()
