"""Whatever the format and packing, the same readings are taken; whatever else is sent, it is refused with a reason."""

import gzip
import json
import math
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from serve.columns import gather_table
from serve.errors import BodyError
from serve.formats import ARROW, JSON, NDJSON, read_body
from serve.intake import Intake, gather
from tests.serve.edges import T0, Edge
from tests.serve.test_api import run
from tests.serve.test_intake import T_US, Known, codes

CHANNELS = ("vibration", "flow", "running", "energy", "colour")


def table_of(lines: list[dict[str, Any]]) -> pa.Table:
    """The lines as a table; JSON's null is a bad reading, which is NaN here."""
    columns: dict[str, Any] = {
        "device": pa.array([line["device"] for line in lines], pa.string()),
        "time": pa.array([line["time"] for line in lines], pa.int64()),
    }
    for name in CHANNELS:
        column = [
            None
            if name not in line["values"]
            else math.nan
            if line["values"][name] is None
            else line["values"][name]
            for line in lines
        ]
        columns[name] = pa.array(column, pa.float64())
    return pa.table(columns)


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def told(found: Intake) -> tuple[Any, ...]:
    """What was taken, by line of the request, and what was refused."""
    lines = {}
    for batch, positions in found.batches:
        assert batch.present is not None
        for at, position in enumerate(positions.tolist()):
            device = batch.ids[int(batch.index[at])].as_py()
            values = tuple("nan" if math.isnan(x) else x for x in batch.values[at].tolist())
            lines[position] = (
                batch.device_type,
                device,
                int(batch.event_us[at]),
                values,
                int(batch.present[at]),
            )
    return lines, sorted(codes(found)), found.refusals.total


readings = st.fixed_dictionaries(
    {
        "device": st.sampled_from(["p1", "p2", "m1", "nobody"]),
        "time": st.sampled_from([T_US, T_US + 1, T_US // 1000, 5]),
        "values": st.dictionaries(
            st.sampled_from(CHANNELS), st.none() | st.floats(-1e6, 1e6, width=32), min_size=1, max_size=4
        ),
    }
)


@settings(max_examples=150, deadline=None)
@given(st.lists(readings, min_size=1, max_size=8), st.none() | st.sampled_from(["pump", "meter", "kite"]))
def test_a_table_is_taken_as_the_same_lines_are(lines: list[dict[str, Any]], wanted: str | None) -> None:
    by_line = gather(lines, wanted, Known())
    by_column = gather_table(table_of(lines), wanted, Known())
    assert told(by_column) == told(by_line)


def test_a_line_without_any_value_or_device_is_refused() -> None:
    table = pa.table({"device": ["p1", None], "time": [T_US, T_US], "flow": pa.array([None, 1.0])})
    found = gather_table(table, None, Known())
    assert not found.batches
    assert sorted(codes(found)) == [(0, "reading.invalid"), (1, "reading.invalid")]


def test_many_refusals_are_counted_and_a_thousand_told() -> None:
    table = pa.table({"device": ["nobody"] * 5000, "time": [T_US] * 5000, "flow": np.ones(5000)})
    found = gather_table(table, None, Known())
    assert (len(found.refusals.told), found.refusals.total) == (1000, 5000)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_any_unit_and_coded_devices(unit: str) -> None:
    time = pa.array([T0], pa.timestamp("us", "UTC")).cast(pa.timestamp(unit, "UTC"), safe=False)
    table = pa.table({"device": pa.array(["p1"]).dictionary_encode(), "time": time, "running": [True]})
    ((batch, _),) = gather_table(table, None, Known()).batches
    assert batch.event_us.tolist() == [T0]
    assert batch.values[0, 2] == 1.0


@pytest.mark.parametrize(
    "columns",
    [
        {"time": [1], "flow": [1.0]},
        {"device": ["p1"], "flow": [1.0]},
        {"device": [1], "time": [1], "flow": [1.0]},
        {"device": ["p1"], "time": ["now"], "flow": [1.0]},
        {"device": ["p1"], "time": [1], "flow": ["much"]},
    ],
)
def test_a_table_of_the_wrong_shape_says_what_to_send(columns: dict[str, Any]) -> None:
    with pytest.raises(BodyError, match="send a stream"):
        gather_table(pa.table(columns), None, Known())


def headers(kind: str, encoding: str = "identity") -> Headers:
    return Headers({"content-type": kind, "content-encoding": encoding})


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_no_damage_to_a_stream_does_more_than_be_refused(data: st.DataObject) -> None:
    table = table_of([{"device": "p1", "time": T_US, "values": {"flow": 1.0}}] * 3)
    body = bytearray(stream(table))
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)))]
    with suppress(BodyError):
        found = read_body(headers(ARROW), bytes(body), 100, 1 << 20)
        assert found.table is not None
        gather_table(found.table, found.wanted, Known())


def test_a_small_body_cannot_become_a_large_one() -> None:
    bomb = gzip.compress(b" " * (8 << 20))
    with pytest.raises(BodyError, match="unpacks to more"):
        read_body(headers(JSON, "gzip"), bomb, 100, 1 << 20)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_what_is_not_packed_as_it_says_is_refused(encoding: str) -> None:
    with pytest.raises(BodyError, match=f"no {encoding}"):
        read_body(headers(JSON, encoding), b"not packed at all", 100, 1 << 20)


def test_what_is_refused_leaves_nothing_behind() -> None:
    damaged = gzip.compress(b" " * 1_000)[:-12] + b"\xff" * 12
    tracemalloc.start()
    try:
        for _ in range(50):
            with pytest.raises(BodyError, match="no gzip"):
                read_body(headers(JSON, "gzip"), damaged, 100, 1 << 20)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 4 << 20


def test_a_name_that_is_no_text_is_refused() -> None:
    table = pa.table(
        {"device": ["p1"], "time": pa.array([T_US], pa.timestamp("us", "Oslo/Oslo")), "flow": [1.0]}
    )
    body = stream(table).replace(b"Oslo/Oslo", b"\xff" * 9)
    found = read_body(headers(ARROW), body, 100, 1 << 20)
    assert found.table is not None
    with pytest.raises(BodyError, match="no UTF-8"):
        gather_table(found.table, None, Known())


def test_unknown_types_and_encodings_name_the_known_ones() -> None:
    with pytest.raises(HTTPException, match="x-ndjson"):
        read_body(headers("text/csv"), b"", 1, 1)
    with pytest.raises(HTTPException, match="zstd"):
        read_body(headers(JSON, "br"), b"", 1, 1)


def test_every_format_and_packing_reaches_the_twin(tmp_path: Path) -> None:
    async def test(it: Edge) -> None:
        it.clock.advance_to(T0 + 100_000_000)
        second = 0
        for kind in (JSON, NDJSON, ARROW):
            for encoding in ("identity", "gzip", "zstd"):
                second += 1
                line = {
                    "device": "pump-01",
                    "time": T0 + second * 1_000_000,
                    "values": {"flow": float(second)},
                }
                body = {
                    JSON: json.dumps({"readings": [line]}).encode(),
                    NDJSON: json.dumps(line).encode() + b"\n{broken\n",
                    ARROW: stream(table_of([line])),
                }[kind]
                packed = body if encoding == "identity" else bytes(pa.compress(body, encoding, asbytes=True))
                if encoding == "gzip":
                    packed = gzip.compress(body)
                answer = await it.client.post(
                    "/ingest", content=packed, headers={"content-type": kind, "content-encoding": encoding}
                )
                assert answer.status_code == 200, answer.text
                said = answer.json()
                assert (said["accepted"], said["level"]) == ({"scored": 1}, "durable")
                assert [each["reason"][:19] for each in said["refused"]] == (
                    ["the line is no JSON"] if kind == NDJSON else []
                )
                twin = await it.get("/api/devices/pump-01")
                assert twin["values"]["flow"]["value"] == second

    run(tmp_path, test)
