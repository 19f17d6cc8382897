"""Devices at a broker under the real platform: their readings come in, and what is asked of them comes back done."""

import time
from typing import Any

import httpx
import pytest

from cluster.obedience import MqttDevices, asked_metrics
from serve.broker import BrokerConfig
from serve.sparkplug.edge_node import EdgeNode
from serve.sparkplug.payload import DataType
from tests.integration.running import Running, register, until
from tests.integration.up.conftest import ASKED
from tests.serve.brokers import Broker
from tests.serve.edges import PUMP

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def ask(client: httpx.Client, device: str, speed: int) -> None:
    """Ask a pump for a speed, and to stop."""
    place = f"/api/devices/{device}"
    wish = {"properties": {"speed": speed}}
    assert client.patch(f"{place}/properties", json=wish, headers={"If-Match": "*"}).is_success
    order = {"command": "stop", "parameters": {"ramp_s": 5}}
    assert client.post(f"{place}/commands", json=order).is_success


def is_done(client: httpx.Client, device: str, speed: int) -> bool:
    place = f"/api/devices/{device}"
    found = {each["name"]: each for each in client.get(f"{place}/properties").json()["items"]}["speed"]
    states: list[Any] = [each["state"] for each in client.get(f"{place}/commands").json()["items"]]
    is_met = found["standing"] == "in_sync" and found["reported"]["value"] == speed
    return bool(is_met and states == ["done"])


def test_a_setpoint_over_mqtt_is_answered_by_the_device(platform: Running, mosquitto: Broker) -> None:
    with platform.client() as client:
        register(client, "pump", ["mqtt-1"])
        devices = MqttDevices(BrokerConfig(mosquitto.url, "5", "pumps", is_lasting=False), ASKED)
        devices.show("mqtt-1")
        ask(client, "mqtt-1", 1800)
        until(lambda: is_done(client, "mqtt-1", 1800))
        devices.close()


def test_a_sparkplug_device_reports_and_takes_a_setpoint(platform: Running, mosquitto: Broker) -> None:
    with platform.client() as client:
        register(client, "pump", ["spark-1"])
        metrics = {"vibration": DataType.FLOAT, **asked_metrics(PUMP)}
        session = BrokerConfig(mosquitto.url, "5", "edge", is_lasting=False)
        node = EdgeNode(session, "plant", "edge", {"spark-1": metrics}, "twinfold")
        node.start()
        assert node.may_send.wait(60)
        node.send("spark-1", time.time_ns() // 1_000_000, {"vibration": 1.5})
        until(lambda: client.get("/api/devices/spark-1").json()["values"]["vibration"]["value"] == 1.5)
        ask(client, "spark-1", 1700)
        until(lambda: is_done(client, "spark-1", 1700))
        node.stop()
