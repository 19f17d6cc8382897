"""Simulated gateways over every protocol into platforms of their own: the same twins, whatever the way in."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cluster import gateways
from cluster.gateways import GatewayError, HttpWay, MqttWay, SocketWay, SparkplugWay, StoppedError, Way
from serve.broker import BrokerConfig
from serve.mqtt import Bridge, MqttConfig
from serve.mqtt_asked import AskedBridge, AskedConfig
from serve.sparkplug.application import HostApplication, SparkplugConfig
from tests.serve.brokers import Broker, broker
from tests.serve.edges import make_app
from tests.serve.test_mqtt_asked import OneAtATime, ask, send, standing
from tests.serve.test_mqtt_asked import states as asked_of
from twins.clock import SECOND_US, VirtualClock
from twins.devices import DeviceType
from twins.fleet import FleetConfig, LocalFleet
from twins.fleetfiles import parse_fleet
from twins.simulation import Simulator
from twins.typefiles import find_types
from twins.warmup import compile_kernels

T0 = 1_760_000_000 * SECOND_US
LASTS_S = 60
PATIENCE_S = 60.0
FLEET = """
name: gateways
seed: 7
sites:
  - {name: hall}
devices:
  - {type: centrifugal-pump, count: 4, id: "pump-{n}", interval_s: 2}
  - {type: power-meter, count: 2, id: "meter-{n}", interval_s: 10}
"""


@pytest.fixture(scope="module")
def types() -> dict[str, DeviceType]:
    compile_kernels()
    return dict(find_types().types)


@dataclass
class Platform:
    """A fleet with its edge on a port of this machine."""

    fleet: LocalFleet
    url: str
    token: str


class Moody:
    """The app behind something that refuses every third request for now, and answers some twice-sent ones only once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.asked += 1
            if self.asked % 3 == 0:
                await JSONResponse({}, 429, {"Retry-After": "0"})(scope, receive, send)
                return
            if self.asked % 4 == 0:  # taken, and the answer is lost

                async def lost(message: Any) -> None:
                    if message["type"] == "http.response.start":
                        await send({**message, "status": 503, "headers": [(b"retry-after", b"0")]})
                    else:
                        await send({**message, "body": b""})

                await self._app(scope, receive, lost)
                return
        await self._app(scope, receive, send)


@contextlib.contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="error", ws="websockets-sansio"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)


@contextlib.contextmanager
def a_fleet(folder: Path, types: dict[str, DeviceType]) -> Iterator[LocalFleet]:
    simulator = a_simulator(types)
    with LocalFleet(folder / "hosts", FleetConfig(hosts=2), VirtualClock(T0)) as fleet:
        for name in ("centrifugal-pump", "power-meter"):
            fleet.install(types[name])
        fleet.register(simulator.devices)
        fleet.clock.advance_to(T0 + LASTS_S * SECOND_US)  # type: ignore[attr-defined]  # a clock of the test's
        yield fleet


@contextlib.contextmanager
def a_platform(
    folder: Path, types: dict[str, DeviceType], wrap: Callable[[FastAPI], ASGIApp] = lambda app: app
) -> Iterator[Platform]:
    with a_fleet(folder, types) as fleet:
        app = make_app(fleet, folder)
        token = app.state.context.access.local.renew()
        with served(wrap(app)) as url:
            yield Platform(fleet, url, token)
        app.state.context.jobs.stop()


def a_simulator(types: dict[str, DeviceType]) -> Simulator:
    return Simulator(parse_fleet(FLEET, types, "fleet.yaml"), types, start_us=T0)


def play(types: dict[str, DeviceType], way: Way) -> int:
    lines = 0
    for batch in a_simulator(types).advance(T0 + (LASTS_S - 1) * SECOND_US):
        way.send(types[batch.device_type], batch)
        lines += len(batch)
    way.close()
    return lines


def states(fleet: LocalFleet, *, counted: bool = True) -> dict[str, Any]:
    """Everything of every twin; without ``counted``, not how often something came twice."""
    found = {
        device: fleet.twin(device).state()
        for device in sorted(each.id for each in a_simulator(fleet.types).devices)
    }
    if not counted:
        for each in found.values():
            each["counts"] = {
                name: count for name, count in each["counts"].items() if name not in ("duplicate", "late")
            }
    return found


@pytest.fixture(scope="module")
def expected(types: dict[str, DeviceType], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the fleet's own door makes of it."""
    with a_fleet(tmp_path_factory.mktemp("own"), types) as fleet:
        for batch in a_simulator(types).advance(T0 + (LASTS_S - 1) * SECOND_US):
            fleet.write(batch)
        return states(fleet)


@pytest.mark.parametrize(
    ("format_", "packing"),
    [("json", "none"), ("ndjson", "gzip"), ("arrow", "zstd"), ("arrow", "gzip"), ("json", "zstd")],
)
def test_http(
    types: dict[str, DeviceType], expected: dict[str, Any], tmp_path: Path, format_: Any, packing: Any
) -> None:
    with a_platform(tmp_path, types) as it:
        way = HttpWay(it.url, it.token, threading.Event(), format_, packing)
        assert play(types, way) == way.sent.readings > 0
        assert states(it.fleet) == expected


@pytest.mark.parametrize("format_", ["json", "arrow"])
def test_websocket(
    types: dict[str, DeviceType], expected: dict[str, Any], tmp_path: Path, format_: Any
) -> None:
    with a_platform(tmp_path, types) as it:
        way = SocketWay(it.url, it.token, threading.Event(), format_)
        assert play(types, way) == way.sent.readings
        assert states(it.fleet) == expected


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path / "broker") as it:
        yield it


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_mqtt(
    types: dict[str, DeviceType], expected: dict[str, Any], tmp_path: Path, running: Broker, version: Any
) -> None:
    with a_fleet(tmp_path, types) as fleet:
        bridge = Bridge(MqttConfig(running.url), fleet, fleet.clock)
        bridge.start()
        until(lambda: bridge.status().connected)
        way = MqttWay(BrokerConfig(running.url, version, "gateway"), threading.Event())
        lines = play(types, way)
        until(lambda: bridge.status().acknowledged == lines)
        bridge.stop()
        assert states(fleet) == expected


def test_sparkplug(
    types: dict[str, DeviceType], expected: dict[str, Any], tmp_path: Path, running: Broker
) -> None:
    with a_fleet(tmp_path, types) as fleet:
        host = HostApplication(
            SparkplugConfig(running.url, "twinfold", device="{device}"), fleet, fleet.clock
        )
        host.start()
        config = BrokerConfig(running.url, client_id="gateway", is_lasting=False)
        way = SparkplugWay(config, threading.Event(), a_simulator(types).devices, types, "twinfold")
        lines = play_open(types, way)
        until(lambda: host.status().readings == lines)
        assert states(fleet) == expected
        assert host.status().counts.get("gaps", 0) == 0
        way.close()
        host.stop()


def play_open(types: dict[str, DeviceType], way: Way) -> int:
    lines = 0
    for batch in a_simulator(types).advance(T0 + (LASTS_S - 1) * SECOND_US):
        way.send(types[batch.device_type], batch)
        lines += len(batch)
    return lines


def test_a_platform_that_refuses_for_now_and_loses_answers_ends_with_the_same_twins(
    types: dict[str, DeviceType], expected: dict[str, Any], tmp_path: Path
) -> None:
    with a_platform(tmp_path, types, Moody) as it:
        way = HttpWay(it.url, it.token, threading.Event(), "ndjson", "gzip")
        lines = play(types, way)
        assert way.sent.again > lines // 20
        expected = {
            name: {
                **each,
                "counts": {k: v for k, v in each["counts"].items() if k not in ("duplicate", "late")},
            }
            for name, each in expected.items()
        }
        assert states(it.fleet, counted=False) == expected


def test_devices_do_what_they_are_asked_over_the_socket(types: dict[str, DeviceType], tmp_path: Path) -> None:
    with a_platform(tmp_path, types) as it, httpx.Client(base_url=it.url) as client:
        client.headers["Authorization"] = f"Bearer {it.token}"
        place = "/api/devices/pump-1"
        wish = {"properties": {"speed_setpoint": 1500}}
        assert client.patch(f"{place}/properties", json=wish, headers={"If-Match": "*"}).status_code == 200
        order = {"command": "stop", "parameters": {"ramp_s": 20}}
        assert client.post(f"{place}/commands", json=order).status_code == 201
        play(types, SocketWay(it.url, it.token, threading.Event(), "json", ["pump-1", "pump-2"]))
        (speed,) = [
            each
            for each in client.get(f"{place}/properties").json()["items"]
            if each["name"] == "speed_setpoint"
        ]
        assert (speed["standing"], speed["reported"]["value"]) == ("in_sync", 1500)
        assert [each["state"] for each in client.get(f"{place}/commands").json()["items"]] == ["done"]


@pytest.mark.parametrize("over", ["mqtt", "sparkplug"])
def test_devices_do_what_they_are_asked_at_a_broker(
    types: dict[str, DeviceType], tmp_path: Path, over: str
) -> None:
    with a_fleet(tmp_path, types) as whole, broker(tmp_path / "broker") as running:
        fleet: Any = OneAtATime(whole)
        bridge: AskedBridge | HostApplication
        way: Way
        session = BrokerConfig(running.url, "5", "gateway")
        if over == "mqtt":
            bridge = AskedBridge(AskedConfig(running.url, "asked/{device}"), fleet)
            way = MqttWay(session, threading.Event(), asked="asked/{device}")
        else:
            bridge = HostApplication(
                SparkplugConfig(running.url, "host", device="{device}"), fleet, fleet.clock
            )
            session = replace(session, is_lasting=False)
            way = SparkplugWay(session, threading.Event(), a_simulator(types).devices, types)
        bridge.start()
        until(lambda: bridge.status().connected)
        ask(fleet, "pump-1", speed_setpoint=1500)
        send(fleet, "stop", "pump-1", ramp_s=20)
        batch = next(a_simulator(types).advance(T0 + 10 * SECOND_US))
        way.send(types[batch.device_type], batch)
        until(lambda: standing(fleet, "speed_setpoint", "pump-1") == "in_sync")
        until(lambda: asked_of(fleet, "pump-1") == ["done"])
        way.close()
        bridge.stop()


def test_what_is_refused_for_good_ends_it(types: dict[str, DeviceType], tmp_path: Path) -> None:
    batch = next(iter(a_simulator(types).advance(T0)))
    with a_platform(tmp_path, types) as it:
        way = HttpWay(it.url, "tfk_0123456789abcdef_" + "x" * 43, threading.Event())
        with pytest.raises(GatewayError, match="401"):
            way.send(types[batch.device_type], batch)
        way.close()
        socket = SocketWay(it.url, "tfk_0123456789abcdef_" + "x" * 43, threading.Event())
        with pytest.raises(GatewayError):
            socket.send(types[batch.device_type], batch)
    with pytest.raises(GatewayError, match="level of a topic"):
        gateways._check_level("mqtt", "line/1")


def test_a_gateway_that_waits_can_be_stopped(types: dict[str, DeviceType]) -> None:
    batch = next(iter(a_simulator(types).advance(T0)))
    stop = threading.Event()
    stop.set()
    way = HttpWay("http://127.0.0.1:9", "x", stop)
    with pytest.raises(StoppedError):
        way.send(types[batch.device_type], batch)
    way.close()


def test_lines_of_a_batch_and_its_table_say_the_same(types: dict[str, DeviceType]) -> None:
    import pyarrow as pa

    for batch in a_simulator(types).advance(T0 + 20 * SECOND_US):
        device_type = types[batch.device_type]
        with pa.ipc.open_stream(gateways.as_arrow(device_type, batch)) as stream:
            rows = stream.read_all().to_pylist()
        for (device, at_us, values), row in zip(gateways.lines_of(device_type, batch), rows, strict=True):
            assert (row.pop("device"), round(row.pop("time").timestamp() * 1e6)) == (device, at_us)
            sent = {
                name: None if np.isnan(value) else value for name, value in row.items() if value is not None
            }
            assert sent == values


def until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.02)  # looks again; the deadline is above
    raise AssertionError("it did not come about")
