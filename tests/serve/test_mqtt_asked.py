"""What is asked of devices over a real Mosquitto: retained wishes, commands with an end, and what devices say back."""

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from serve.errors import BrokerAddressError
from serve.mqtt_asked import AskedBridge, AskedConfig
from tests.serve.brokers import Broker, broker
from tests.serve.edges import make_fleet
from tests.serve.test_mqtt import until
from twins import commands as c
from twins.fleet import LocalFleet

TOPIC = "plant/{device}"


class OneAtATime:
    """A fleet in one process, asked by the threads of a bridge one after another."""

    def __init__(self, fleet: LocalFleet) -> None:
        self._fleet, self._lock = fleet, threading.RLock()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._fleet, name)
        if not callable(found):
            return found

        def locked(*arguments: Any, **more: Any) -> Any:
            with self._lock:
                return found(*arguments, **more)

        return locked


class Device:
    """A device at the broker: what it was told, by topic."""

    def __init__(self, running: Broker, name: str) -> None:
        self.name = name
        self.got: list[tuple[str, dict[str, Any], bool]] = []
        self.client = running.client()
        self.client.on_message = self._on_message
        self.subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.subscribe(
            [(f"plant/{name}/desired", 1), (f"plant/{name}/commands", 1), (f"told/{name}", 1)]
        )
        assert self.subscribed.wait(30)

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        self.got.append((message.topic.rpartition("/")[2], json.loads(message.payload), message.retain))

    def say(self, what: str, retain: bool = False, **body: Any) -> None:
        """Returns when the broker has it."""
        self.client.publish(f"plant/{self.name}/{what}", json.dumps(body), 1, retain).wait_for_publish(30)

    def heard(self, what: str) -> list[dict[str, Any]]:
        return [body for topic, body, _ in list(self.got) if topic == what]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path / "broker") as it:
        yield it


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Any]:
    with make_fleet(tmp_path) as it:
        yield OneAtATime(it)


@contextlib.contextmanager
def bridged(running: Broker, fleet: Any, **options: Any) -> Iterator[AskedBridge]:
    bridge = AskedBridge(AskedConfig(running.url, TOPIC, "told/{device}", **options), fleet)
    bridge.start()
    try:
        until(lambda: bridge.status().connected)
        yield bridge
    finally:
        bridge.stop()


@contextlib.contextmanager
def device(running: Broker, name: str = "pump-01") -> Iterator[Device]:
    it = Device(running, name)
    try:
        yield it
    finally:
        it.client.disconnect()
        it.client.loop_stop()


def ask(fleet: Any, device_id: str = "pump-01", **values: Any) -> None:
    fleet.command(
        c.SetDesired(
            command_id=fleet.command_id(), by="ann", device_id=device_id, values=values, role="admin"
        )
    )


def send(fleet: Any, name: str, device_id: str = "pump-01", **parameters: Any) -> None:
    fleet.command(
        c.SendCommand(command_id=fleet.command_id(), by="ann", device_id=device_id, name=name, parameters=parameters,
                      role="admin")
    )  # fmt: skip


def states(fleet: Any, device_id: str = "pump-01") -> list[str]:
    return [order["state"] for order in fleet.read_twin(device_id)["commands"]]


def standing(fleet: Any, name: str, device_id: str = "pump-01") -> str:
    found: str = fleet.read_twin(device_id)["properties"][name]["standing"]
    return found


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_from_asking_to_done_and_back(running: Broker, fleet: Any, version: Any) -> None:
    ask(fleet, speed=1800)  # before anybody is there
    with bridged(running, fleet, version=version), device(running) as pump:
        (desired,) = until(lambda: pump.heard("desired"))
        assert desired == {"version": 1, "properties": {"speed": {"value": 1800, "version": 1}}}
        pump.say("reported", properties={"speed": 1800, "colour": 3}, version=4)
        until(lambda: standing(fleet, "speed") == "in_sync")
        (refused,) = until(lambda: pump.heard("pump-01"))
        assert refused["code"] == "command.not_offered"
        send(fleet, "stop", ramp_s=5)
        (command,) = until(lambda: pump.heard("commands"))
        assert (command["number"], command["command"], command["parameters"]) == (1, "stop", {"ramp_s": 5})
        assert states(fleet) == ["delivered"]
        pump.say("results", number=1, ok=True, result="stopped")
        until(lambda: states(fleet) == ["done"])
        with device(running) as later:  # it comes back and has what is desired at once
            until(lambda: later.heard("desired"))
            assert [retained for topic, _, retained in later.got if topic == "desired"] == [True]


def test_a_command_waits_for_a_device_that_has_shown_itself(running: Broker, fleet: Any) -> None:
    with bridged(running, fleet) as bridge, device(running) as pump:
        send(fleet, "stop", ramp_s=5)
        send(fleet, "stop", "pump-03", ramp_s=5)
        ask(fleet, speed=1800)
        until(lambda: pump.heard("desired"))  # which is looked for after the commands
        assert (pump.heard("commands"), states(fleet)) == ([], ["waiting"])
        pump.say("reported", retain=True, properties={"speed": 1200})
        until(lambda: pump.heard("commands"))
        assert (states(fleet), states(fleet, "pump-03")) == (["delivered"], ["waiting"])
        until(lambda: bridge.status().commands == 1)
    with (
        bridged(running, fleet) as bridge,
        device(running) as pump,
    ):  # begun anew: the retained report tells of it
        until(lambda: bridge.status().reports)
        send(fleet, "start")
        assert [each["command"] for each in until(lambda: pump.heard("commands"))] == ["start"]


def test_what_may_be_done_twice_is_sent_again_to_who_comes_back(
    running: Broker, fleet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.courier.AGAIN_S", 0.0)
    with bridged(running, fleet), device(running) as pump:
        pump.say("reported", properties={"speed": 1200})
        send(fleet, "start")
        send(fleet, "stop", ramp_s=5)
        until(lambda: len(pump.heard("commands")) >= 2)
        before = len([each for each in pump.heard("commands") if each["command"] == "start"])
        pump.say("reported", properties={"speed": 1300})
        until(lambda: len([each for each in pump.heard("commands") if each["command"] == "start"]) > before)
        assert len([each for each in pump.heard("commands") if each["command"] == "stop"]) == 1
        assert states(fleet) == ["delivered", "delivered"]


def test_a_broker_that_lost_what_it_kept_is_told_again(running: Broker, fleet: Any) -> None:
    ask(fleet, speed=1800)
    with bridged(running, fleet) as bridge:
        until(lambda: bridge.status().desired == 1)
        running.stop()
        (running.folder / "mosquitto.db").unlink(missing_ok=True)
        running.start()
        with device(running) as pump:
            until(lambda: pump.heard("desired"))


@pytest.mark.parametrize(
    ("what", "body"), [("reported", {"properties": {"speed": 1200}}), ("results", {"number": 1, "ok": True})]
)
def test_who_reports_is_known_before_it_is_looked_at_again(
    fleet: Any, monkeypatch: pytest.MonkeyPatch, what: str, body: dict[str, Any]
) -> None:
    send(fleet, "stop", ramp_s=5)
    bridge = AskedBridge(AskedConfig("mqtt://localhost:1", TOPIC), fleet)
    known: list[bool] = []
    monkeypatch.setattr(bridge._courier, "again", lambda name: known.append(name in bridge._known))
    bridge._take(f"plant/pump-01/{what}", json.dumps(body).encode())
    assert known == [True]


def test_a_wish_that_is_withdrawn_is_withdrawn_at_the_broker(running: Broker, fleet: Any) -> None:
    with bridged(running, fleet), device(running) as pump:
        ask(fleet, speed=1800)
        until(lambda: pump.heard("desired"))
        fleet.clock.advance_by(601)
        fleet.advance()
        until(lambda: len(pump.heard("desired")) == 2)
        assert pump.heard("desired")[-1] == {"version": 2, "properties": {}}


def test_what_says_nothing_is_told_and_costs_no_other(running: Broker, fleet: Any) -> None:
    with bridged(running, fleet), device(running) as pump, device(running, "nobody") as nobody:
        for payload in ("{", "[]", '{"properties": {"speed": [1]}}', '{"time": "yesterday"}'):
            pump.client.publish("plant/pump-01/reported", payload, 1).wait_for_publish(30)
        pump.say("results", number=9, ok=True)
        nobody.say("reported", properties={"speed": 1})
        until(lambda: len(pump.heard("pump-01")) == 5)
        codes = [each["code"] for each in pump.heard("pump-01")]
        assert codes == ["message.invalid"] * 4 + ["command.unknown_number"]
        assert until(lambda: nobody.heard("nobody"))[0]["code"] == "device.not_found"
        pump.say("reported", properties={"firmware": "5"})
        until(lambda: fleet.read_twin("pump-01")["properties"]["firmware"]["reported"])


@pytest.mark.parametrize(
    "topic", ["plant", "plant/{device}/{device}", "plant/+", "plant/{device}x", "plant/{channel}"]
)
def test_a_topic_has_to_name_the_device(topic: str, fleet: Any) -> None:
    with pytest.raises(BrokerAddressError):
        AskedBridge(AskedConfig("mqtt://localhost:1", topic), fleet)


def test_all_that_changed_is_told_a_piece_at_a_time(fleet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twins.service.DOWNLINKS_AT_ONCE", 1)
    pumps = [f"pump-{i:02d}" for i in range(6)]
    for name in (*pumps, "pump-01"):
        ask(fleet, name, speed=1800)
    marks: Any = {}
    told: list[str] = []
    more = True
    while more:
        found, marks, more = fleet.downlinks_since(marks)
        assert len(found) <= 2  # of each of two hosts
        told += found
    assert sorted(told) == pumps
    assert fleet.downlinks_since(marks)[0] == {}
    ask(fleet, "pump-03", speed=1900)
    assert list(fleet.downlinks_since(marks)[0]) == ["pump-03"]
