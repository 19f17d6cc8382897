"""Simulated devices that are asked something: they are at once as is desired, do what they are told, and say so."""

import json
from collections.abc import Mapping
from typing import Any, Final

import paho.mqtt.client as paho

from serve.broker import BrokerConfig, broker_client, topic_of
from serve.sparkplug.payload import DataType
from serve.sparkplug.sessions import CONTROL
from twins.devices import DeviceType

ASKED: Final = ("desired", "command")
"""The types of frames that ask something of a device."""

_KINDS: Final[Mapping[str, DataType]] = {
    "number": DataType.DOUBLE, "integer": DataType.INT64, "boolean": DataType.BOOLEAN, "string": DataType.STRING,
    "enum": DataType.STRING,
}  # fmt: skip


def answer_to(frame: Mapping[str, Any]) -> dict[str, Any]:
    """What a device says to a frame that asks something of it."""
    if frame["type"] == "desired":
        values = {name: each["value"] for name, each in frame["properties"].items()}
        return {
            "type": "reported",
            "device": frame["device"],
            "properties": values,
            "desired_version": frame["version"],
        }
    return {
        "type": "command_result",
        "device": frame["device"],
        "number": frame["number"],
        "ok": True,
        "result": "done",
    }


def asked_metrics(device_type: DeviceType) -> dict[str, DataType]:
    """The Sparkplug metrics of a device of this type that can be written: properties, and commands by their numbers."""
    found = {each.name: _KINDS[each.kind] for each in device_type.properties}
    for command in device_type.commands:
        metric = f"{CONTROL[1]}{command.name}"
        found[metric] = DataType.INT64
        found.update({f"{metric}/{each.name}": _KINDS[each.kind] for each in command.parameters})
    return found


class MqttDevices:
    """Devices at a broker that answer what they are asked there.

    Parameters
    ----------
    broker : where they are; in a session of its own, which does not last
    topic : ``mqtt.asked`` of the platform, levels with ``{device}``
    """

    def __init__(self, broker: BrokerConfig, topic: str) -> None:
        self._topic = topic
        self._shown: set[str] = set()
        self._at = topic.split("/").index("{device}")
        self._client, begin = broker_client(broker)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        begin()
        self._client.loop_start()

    def show(self, device_id: str) -> None:
        """Let it be known that a device is there: commands go to who has reported."""
        if device_id not in self._shown:
            self._shown.add(device_id)
            self._say(device_id, "reported", {})

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        levels = self._topic.replace("{device}", "+")
        client.subscribe([(f"{levels}/desired", 1), (f"{levels}/commands", 1)])

    def _on_message(self, _: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        topic = topic_of(message)
        device_id, what = topic.split("/")[self._at], topic.rpartition("/")[2]
        if device_id in self._shown:
            kind = ASKED[0] if what == "desired" else ASKED[1]
            answer = answer_to({**json.loads(message.payload), "type": kind, "device": device_id})
            about = {name: value for name, value in answer.items() if name not in ("type", "device")}
            self._say(device_id, "reported" if what == "desired" else "results", about)

    def _say(self, device_id: str, what: str, body: Mapping[str, Any]) -> None:
        self._client.publish(f"{self._topic.replace('{device}', device_id)}/{what}", json.dumps(body), qos=1)
