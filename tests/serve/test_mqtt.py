"""The bridge against a real Mosquitto: durable before acknowledged, nothing lost, no message stops another."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from serve.errors import BrokerAddressError
from serve.mqtt import Bridge, MqttConfig, Topic, read_message
from tests.serve.brokers import PATIENCE_S, Broker, broker
from tests.serve.edges import T0, make_fleet
from twins.clock import SECOND_US
from twins.errors import DegradedError, OverloadedError
from twins.fleet import LocalFleet
from twins.warmup import compile_kernels


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path / "broker") as it:
        yield it


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[LocalFleet]:
    compile_kernels()
    with make_fleet(tmp_path) as it:
        it.clock.advance_to(T0 + 3600 * SECOND_US)  # type: ignore[attr-defined]
        yield it


@contextlib.contextmanager
def bridged(running: Broker, fleet: LocalFleet, **options: Any) -> Iterator[Bridge]:
    bridge = Bridge(MqttConfig(running.url, **{"topic": "plant/{device}", **options}), fleet, fleet.clock)
    bridge.start()
    try:
        until(lambda: bridge.status().connected)
        yield bridge
    finally:
        bridge.stop()


@contextlib.contextmanager
def sender(running: Broker) -> Iterator[paho.Client]:
    client = running.client()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.02)  # looks again; the deadline is above
    raise AssertionError("it did not come about")


def send(client: paho.Client, device: str, at_s: int, vibration: float) -> None:
    """Returns when the broker has it."""
    body = {"time": T0 + at_s * SECOND_US, "values": {"vibration": vibration}}
    client.publish(f"plant/{device}", json.dumps(body), qos=1).wait_for_publish(PATIENCE_S)


def vibration(fleet: LocalFleet, device: str) -> Any:
    return fleet.twin(device).state()["values"]["vibration"]["value"]


def counts(fleet: LocalFleet, device: str) -> dict[str, int]:
    found: dict[str, int] = fleet.twin(device).state()["counts"]
    return found


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_message_reaches_its_twin_and_is_acknowledged(
    running: Broker, fleet: LocalFleet, version: Any
) -> None:
    with bridged(running, fleet, version=version) as bridge, sender(running) as client:
        for at_s in range(1, 301):
            client.publish(
                "plant/pump-01", json.dumps({"time": T0 + at_s * SECOND_US, "vibration": at_s / 10}), qos=1
            )
        until(lambda: bridge.status().acknowledged == 300)
    assert vibration(fleet, "pump-01") == 30.0
    assert counts(fleet, "pump-01")["scored"] == 300


def test_what_is_not_durable_is_not_acknowledged_and_comes_again(
    running: Broker, fleet: LocalFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sender(running) as client:
        with bridged(running, fleet) as bridge, monkeypatch.context() as patch:

            def full(*_: Any, **__: Any) -> Any:
                raise OverloadedError("the journal is full", 0.05)

            patch.setattr(fleet, "write_many", full)
            for at_s in range(1, 11):
                send(client, "pump-01", at_s, float(at_s))
            until(lambda: bridge.status().reason == OverloadedError.code)
            assert bridge.status().acknowledged == 0
            bridge.stop()  # as a killed one: nothing was acknowledged
        with bridged(running, fleet) as bridge:
            until(lambda: bridge.status().acknowledged == 10)
    assert counts(fleet, "pump-01")["scored"] == 10


def test_a_host_that_is_away_holds_up_nobody_else(
    running: Broker, fleet: LocalFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = host_of(fleet, "pump-01")
    others = [each for each in ("pump-00", "pump-02", "pump-03", "pump-04") if host_of(fleet, each) != lost]
    assert others
    real = fleet._hosts.ask

    def ask(calls: Any) -> list[Any]:
        answers = iter(real([each for each in calls if each[0] != lost]))
        return [DegradedError("it is away") if each[0] == lost else next(answers) for each in calls]

    with bridged(running, fleet) as bridge, sender(running) as client:
        with monkeypatch.context() as patch:
            patch.setattr(fleet._hosts, "ask", ask)
            for at_s in range(1, 6):
                send(client, "pump-01", at_s, float(at_s))
                send(client, others[0], at_s, float(at_s))
            until(lambda: bridge.status().acknowledged == 5)
            assert counts(fleet, others[0])["scored"] == 5
        until(lambda: bridge.status().acknowledged == 10)
    assert counts(fleet, "pump-01")["scored"] == 5
    assert counts(fleet, "pump-01")["late"] == 0


def host_of(fleet: LocalFleet, device: str) -> int:
    return int(fleet.locate(pa.array([device])).host[0])


def test_nothing_is_lost_where_the_broker_goes_and_comes_back(running: Broker, fleet: LocalFleet) -> None:
    with bridged(running, fleet) as bridge:
        with sender(running) as client:
            for at_s in range(1, 51):
                send(client, "pump-01", at_s, 1.0)
        running.stop()
        until(lambda: not bridge.status().connected)
        running.start()
        until(lambda: bridge.status().connected)
        with sender(running) as client:
            for at_s in range(51, 101):
                send(client, "pump-01", at_s, 2.0)
        until(lambda: counts(fleet, "pump-01")["scored"] == 100)


def test_what_can_never_be_taken_is_told_and_costs_nothing_else(running: Broker, fleet: LocalFleet) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    with bridged(running, fleet) as bridge, sender(running) as client:
        client.on_message = lambda _, __, message: told.append((message.topic, json.loads(message.payload)))
        client.subscribe("twinfold-refused/#", qos=1)
        client.subscribe("answers", qos=1)
        for payload in (b"{", b"[1]", b'{"x": NaN}', b"7"):
            client.publish("plant/pump-01", payload, qos=1)
        client.publish("plant/nobody", json.dumps({"vibration": 1.0}), qos=1)
        client.publish("plant/pump-01", json.dumps({"device": "pump-02", "vibration": 1.0}), qos=1)
        asked = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        asked.ResponseTopic, asked.CorrelationData = "answers", b"17"
        body = {"time": T0 + SECOND_US, "vibration": 3.0, "colour": 1.0}
        client.publish("plant/pump-01", json.dumps(body), qos=1, properties=asked)
        until(lambda: bridge.status().acknowledged == 7)
        until(lambda: len(told) >= 8)
    assert vibration(fleet, "pump-01") == 3.0
    codes = sorted(each["code"] for topic, each in told if topic != "answers")
    assert codes == ["channel.not_found", "device.not_found", *["message.invalid"] * 5]
    (answer,) = [each for topic, each in told if topic == "answers"]
    assert (answer["level"], answer["readings"], len(answer["refused"])) == ("durable", 1, 1)


def test_a_channel_may_be_a_level_of_the_topic() -> None:
    topic = Topic("site/{device}/{channel}")
    assert topic.filter == "site/+/+"
    (line,) = read_message(topic, "site/p-1/flow", b"3.5", 7)
    assert line == {"device": "p-1", "time": 7, "values": {"flow": 3.5}}
    for wrong in ("a/#", "a/+/b", "a/{device", "{device}/{device}", "x{device}", "{colour}", "a//b", ""):
        with pytest.raises(BrokerAddressError):
            Topic(wrong)


@pytest.mark.parametrize("topic", ["plant/pump-02", "$SYS/broker", "plant/+", "#", "", "a\0b", "x" * 70_000])
def test_no_answer_goes_where_readings_are_read(fleet: LocalFleet, topic: str) -> None:
    """Nor to where no message can go: paho would raise, and the message would come again for ever."""
    bridge = Bridge(MqttConfig("mqtt://localhost", "plant/{device}"), fleet, fleet.clock)
    published: list[str] = []
    bridge._line.client.publish = lambda topic, *_, **__: published.append(topic)  # type: ignore[assignment, misc, return-value]
    for answer in (topic, "answers/pump-01"):
        message = paho.MQTTMessage(1, b"plant/pump-01")
        message.payload = b'{"flow": 5.0}'
        message.properties = Properties(PacketTypes.PUBLISH)
        message.properties.__dict__["ResponseTopic"] = answer  # what it refuses to hold itself
        bridge._on_message(message, 0)
    came = bridge._next()
    found = bridge._read(came)
    assert bridge._write(found)
    bridge._answer(came, found)
    assert published == ["answers/pump-01"]


@pytest.mark.parametrize("name", ["plant/pump-01", "plant/" + "x" * 60_000, "plant/a\0b", "elsewhere"])
@pytest.mark.parametrize(
    "payload",
    [
        b'{"device": "\\ud800", "flow": 1}',
        b'{"time": "\\udc00", "flow": 1}',
        b'{"\\ud800": 1}',
        b"\xff",
        b'{"flow": NaN}',
        b"[" * 90_000,
    ],
)
def test_what_can_never_be_written_down_is_refused_and_told(
    fleet: LocalFleet, name: str, payload: bytes
) -> None:
    bridge = Bridge(MqttConfig("mqtt://localhost", "plant/{device}"), fleet, fleet.clock)
    told: list[tuple[str, str]] = []
    bridge._line.client.publish = lambda topic, text, *_, **__: told.append((topic, text))  # type: ignore[assignment, misc, return-value]
    message = paho.MQTTMessage(1, name.encode())
    message.payload, message.qos = payload, 1
    bridge._on_message(message, 0)
    came = bridge._next()
    found = bridge._read(came)
    assert bridge._write(found)
    bridge._answer(came, found)
    assert told
    for topic, text in told:
        assert len(topic.encode()) < 1_000
        assert "\0" not in topic
        assert json.loads(text)["code"] in (
            "message.invalid",
            "channel.not_found",
            "device.not_found",
            "reading.invalid",
        )
    assert bridge.status().messages == 1


@given(st.binary(max_size=80) | st.text(max_size=40).map(str.encode), st.booleans())
def test_any_payload_is_read_or_refused(payload: bytes, by_channel: bool) -> None:
    topic = Topic("p/{device}/{channel}" if by_channel else "p/{device}")
    try:
        lines = read_message(topic, "p/d/c" if by_channel else "p/d", payload, 1)
    except ValueError:
        return
    assert all(line.keys() == {"device", "time", "values"} for line in lines)


@pytest.mark.parametrize("url", ["", "broker", "http://broker", "mqtt://", "mqtt://b:70000", "mqtts://b:x"])
def test_an_address_that_is_none_says_what_to_write(fleet: LocalFleet, url: str) -> None:
    with pytest.raises(BrokerAddressError, match="mqtt://host:1883"):
        Bridge(MqttConfig(url), fleet)
