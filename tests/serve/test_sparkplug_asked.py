"""What is asked of devices that came by Sparkplug, over a real Mosquitto: done when DDATA says so, and not before."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from serve.broker import BrokerConfig
from serve.sparkplug.application import HostApplication, SparkplugConfig
from serve.sparkplug.edge_node import EdgeNode
from serve.sparkplug.payload import DataType
from tests.serve.brokers import Broker, broker
from tests.serve.edges import T0, make_fleet
from tests.serve.test_mqtt import until
from tests.serve.test_mqtt_asked import OneAtATime, ask, send, standing, states

PUMP = {
    "vibration": DataType.FLOAT,
    "Setpoint/Speed": DataType.FLOAT,
    "mode": DataType.STRING,
    "Device Control/stop": DataType.INT32,
    "Device Control/stop/ramp_s": DataType.DOUBLE,
    "Device Control/start": DataType.BOOLEAN,
}
NOW_MS = T0 // 1_000 + 3_600_000


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path / "broker") as it:
        yield it


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Any]:
    with make_fleet(tmp_path) as it:
        it.clock.advance_to(NOW_MS * 1_000)  # type: ignore[attr-defined]
        yield OneAtATime(it)


@contextlib.contextmanager
def hosted(running: Broker, fleet: Any) -> Iterator[HostApplication]:
    config = SparkplugConfig(
        running.url, "twinfold", device="{device}", metrics="Setpoint/Speed=speed", refused="told/{device}"
    )
    host = HostApplication(config, fleet, fleet.clock)
    host.start()
    try:
        until(lambda: host.status().connected)
        yield host
    finally:
        host.stop()


class Pump:
    """Devices of an edge node that were written to, and do what ``answer`` says."""

    def __init__(self, answer: Any) -> None:
        self.written: list[Mapping[str, Any]] = []
        self.answer = answer

    def obey(self, _: str, written: Mapping[str, Any]) -> Mapping[str, Any]:
        self.written.append(written)
        found: Mapping[str, Any] = self.answer(written)
        return found


@contextlib.contextmanager
def node(
    running: Broker, fleet: Any, pump: Pump, metrics: Mapping[str, DataType] = PUMP
) -> Iterator[EdgeNode]:
    settings = BrokerConfig(running.url, "5", "node", is_lasting=False)
    it = EdgeNode(settings, "plant", "edge", {"pump-01": metrics}, "", fleet.clock, pump.obey)
    it.start()
    try:
        assert it.may_send.wait(30)
        yield it
    finally:
        it.stop()


def test_a_desired_value_is_met_when_ddata_says_so(running: Broker, fleet: Any) -> None:
    pump = Pump(lambda _: {})
    with hosted(running, fleet), node(running, fleet, pump) as edge:
        ask(fleet, speed=1800, mode="manual")
        until(lambda: pump.written)
        assert pump.written[0] == {"Setpoint/Speed": 1800.0, "mode": "manual"}
        assert standing(fleet, "speed") == "pending"
        edge.send("pump-01", NOW_MS + 1, {"Setpoint/Speed": 1500.0})  # on its way
        until(lambda: fleet.read_twin("pump-01")["properties"]["speed"]["reported"] is not None)
        assert standing(fleet, "speed") == "pending"
        edge.send("pump-01", NOW_MS + 2, {"Setpoint/Speed": 1800.0, "mode": "manual"})
        until(lambda: (standing(fleet, "speed"), standing(fleet, "mode")) == ("in_sync", "in_sync"))


def test_what_was_asked_before_goes_down_with_the_birth_and_a_rebirth_repeats_no_command(
    running: Broker, fleet: Any
) -> None:
    pump = Pump(lambda written: {name: value for name, value in written.items() if name == "Setpoint/Speed"})
    ask(fleet, speed=1801)
    send(fleet, "stop", ramp_s=5)
    with hosted(running, fleet) as host, node(running, fleet, pump) as edge:
        until(lambda: standing(fleet, "speed") == "in_sync" and len(pump.written) == 2)
        assert {"Device Control/stop": 1, "Device Control/stop/ramp_s": 5.0} in pump.written
        assert states(fleet) == ["delivered"]
        births = host.status().counts["births"]
        edge.birth()
        until(lambda: host.status().counts["births"] > births)
        ask(fleet, mode="auto")
        until(lambda: {"mode": "auto"} in pump.written)
        assert sum("Device Control/stop" in each for each in pump.written) == 1


@pytest.mark.parametrize(("answer", "end"), [(1, "done"), (-1, "failed")])
def test_a_command_ends_by_its_number(running: Broker, fleet: Any, answer: int, end: str) -> None:
    pump = Pump(lambda written: {"Device Control/stop": answer * written["Device Control/stop"]})
    with hosted(running, fleet), node(running, fleet, pump):
        send(fleet, "stop", ramp_s=5)
        until(lambda: states(fleet) == [end])


def test_a_command_that_is_true_is_done_when_it_is_said_back(running: Broker, fleet: Any) -> None:
    pump = Pump(lambda _: {})
    with hosted(running, fleet), node(running, fleet, pump) as edge:
        edge.send("pump-01", NOW_MS + 1, {"Device Control/start": True})  # before it was asked: about nothing
        send(fleet, "start")
        until(lambda: {"Device Control/start": True} in pump.written)
        assert states(fleet) == ["delivered"]
        edge.birth()  # says true, too, but of before
        edge.send("pump-01", NOW_MS + 2, {"Device Control/start": False, "vibration": 1.0})
        until(lambda: fleet.twin("pump-01").state()["values"]["vibration"]["value"] == 1.0)
        assert states(fleet) == ["delivered"]
        edge.send("pump-01", NOW_MS + 3, {"Device Control/start": True})
        until(lambda: states(fleet) == ["done"])


def test_what_no_birth_told_of_is_not_sent_and_stays_open(running: Broker, fleet: Any) -> None:
    pump = Pump(lambda written: written)
    few = {"vibration": DataType.FLOAT, "mode": DataType.STRING, "Device Control/stop": DataType.INT32}
    with hosted(running, fleet), node(running, fleet, pump, few):
        send(fleet, "stop", ramp_s=5)  # there is no metric for the ramp
        send(fleet, "start")
        ask(fleet, speed=1800, mode="manual")
        until(lambda: standing(fleet, "mode") == "in_sync")
        assert (states(fleet), standing(fleet, "speed")) == (["waiting", "waiting"], "pending")
        assert pump.written == [{"mode": "manual"}]
