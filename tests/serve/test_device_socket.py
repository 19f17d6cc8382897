"""The socket of devices over a real server: every frame has its answer, and no frame costs another."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import websockets
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.accounts import Actor
from serve.scopes import Scope
from tests.serve.edges import T0, Edge, edge
from tests.serve.test_push import served
from twins.clock import SECOND_US
from twins.warmup import compile_kernels


def run(tmp_path: Path, test: Any, **config: Any) -> None:
    compile_kernels()

    async def inside() -> None:
        async with edge(tmp_path, **config) as it, served(it) as url:
            await test(it, url.replace("/api/live", "/ingest/socket"))

    asyncio.run(inside())


def bearer(text: str) -> dict[str, Any]:
    return {"additional_headers": {"Authorization": f"Bearer {text}"}}


def line(device: str, at_s: float, vibration: float) -> dict[str, Any]:
    return {"device": device, "time": T0 + round(at_s * SECOND_US), "values": {"vibration": vibration}}


def arrow(device: str, at_s: float, vibration: float) -> bytes:
    table = pa.table(
        {
            "device": [device],
            "time": pa.array([T0 + round(at_s * SECOND_US)], pa.timestamp("us", "UTC")),
            "vibration": [vibration],
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


async def ask(sock: Any, frame: Any) -> dict[str, Any]:
    await sock.send(json.dumps(frame) if isinstance(frame, dict) else frame)
    answer: dict[str, Any] = json.loads(await asyncio.wait_for(sock.recv(), 30))
    return answer


def test_each_frame_is_answered_once_it_is_durable(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        _, key = it.context.access.keys.create("gateway", Scope.of(sites=["oslo"]), Actor("tests"))
        it.clock.advance_by(10)
        async with websockets.connect(url, **bearer(key)) as sock:
            first = await ask(
                sock, {"id": "a-1", "readings": [line("pump-01", 1, 2.0), line("pump-02", 1, 2.0)]}
            )
            assert (first["type"], first["frame"], first["id"], first["level"]) == (
                "taken",
                1,
                "a-1",
                "durable",
            )
            assert first["accepted"] == {"scored": 1}
            assert [(each["device"], each["index"]) for each in first["refused"]] == [("pump-02", 1)]
            second = await ask(sock, arrow("pump-01", 2, 3.0))
            assert (second["frame"], second["accepted"]) == (2, {"scored": 1})
            again = await ask(sock, arrow("pump-01", 2, 3.0))
            assert again["accepted"] == {"duplicate": 1}
            for at_s in range(3, 23):  # sent without waiting: taken in their order
                await sock.send(json.dumps({"id": str(at_s), "readings": [line("pump-01", at_s / 3, at_s)]}))
            answers = [json.loads(await asyncio.wait_for(sock.recv(), 30)) for _ in range(20)]
            assert [each["id"] for each in answers] == [str(at_s) for at_s in range(3, 23)]
        twin = await it.get("/api/devices/pump-01")
        assert twin["values"]["vibration"]["value"] == 22.0

    run(tmp_path, test)


def test_a_frame_that_cannot_be_read_is_refused_and_the_socket_goes_on(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        async with websockets.connect(url, additional_headers=it.token, max_size=None) as sock:
            for frame in (
                "{",
                "[]",
                "null",
                {"id": 7, "reading": []},
                b"",
                b"ARROW1",
                {"readings": [], "x": 1},
            ):
                answer = await ask(sock, frame)
                assert (answer["type"], answer["problem"]["code"]) == ("refused", "body.invalid"), answer
            large = await ask(sock, {"readings": [line("pump-01", 1, 1.0)] * 30})
            assert "30 readings" in large["problem"]["detail"]
            assert (await ask(sock, {"readings": [line("pump-01", 0, 1.0)]}))["accepted"] == {"scored": 1}

    run(tmp_path, test, batch_readings=20)


@settings(max_examples=3, deadline=None)
@given(st.data())
def test_no_frame_ends_a_socket(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    good = arrow("pump-01", 0, 1.0)

    async def test(_: Edge, url: str) -> None:
        async with websockets.connect(url, additional_headers=_.token) as sock:
            for _n in range(200):
                frame = data.draw(
                    st.one_of(
                        st.text(max_size=40),
                        st.binary(max_size=60),
                        st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)).map(
                            lambda at: good[: at[0]] + bytes([at[1]]) + good[at[0] + 1 :]
                        ),
                        st.builds(lambda it: json.dumps({"readings": it}), JSONS),
                    )
                )
                assert (await ask(sock, frame))["type"] in ("taken", "refused")

    run(tmp_path_factory.mktemp("sockets"), test)


JSONS = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["device", "time", "values", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_a_key_that_is_revoked_sends_no_more(tmp_path: Path) -> None:
    async def test(it: Edge, url: str) -> None:
        access = it.context.access
        made, key = access.keys.create("gateway", Scope(), Actor("tests"))
        async with websockets.connect(url, **bearer(key)) as sock:
            assert (await ask(sock, {"readings": [line("pump-01", 0, 1.0)]}))["type"] == "taken"
            access.keys.revoke(made.id, Actor("tests"))
            it.clock.advance_by(3)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await ask(sock, {"readings": [line("pump-01", 1, 1.0)]})
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(url)
        viewer = it.member("vera", "viewer")
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(url, additional_headers=viewer)

    run(tmp_path, test)
